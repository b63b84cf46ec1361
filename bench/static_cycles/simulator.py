# SPDX-License-Identifier: Apache-2.0
"""A simulated period of a step, as accurate as its constants: +-25 % at best. No bound holds it.

Warps of one sub-core of a multiprocessor run a turn's path in order, one instruction a clock, until the period repeats. An
instruction is issued when the warp's stall of the one before is over, the scoreboards that it waits on are free, and its
pipe takes it. Each warp runs its own path, or all run that of the first; all blocks are as fast as this one: what a step
gives arrives a constant time after its last warp has given it.
"""
import collections
import math

from static_cycles import work

# Clocks of an H100 or H200. «published»: others measured it there; «assumed»: nobody did.
CONSTANTS = {
    "push": 240,  # assumed: from st.async to the peer's barrier, 180 of them published (DSMEM)
    "through_l2": 600,  # assumed: from a store to the poll that sees it, of two latencies of L2 and what is between
    "device": 280,  # published: a load from L2 takes 258 to 414
    "shared": 29,  # published: LDS
    "ldmatrix": 33,  # published: LDSM
    "constant": 34,  # assumed: LDC with an index
    "unit": 22,  # assumed: MUFU, F2F and their like
    "shuffle": 24,  # published: SHFL
    "barrier": 20,  # assumed: from the last warp's arrival until the others go on
    "other": 20,  # assumed: SYNCS, S2R, MEMBAR within the block, stores' operands
    "operands": 14,  # assumed: until an operand of a memory instruction is read
    "mma_issue": 6.35,  # published: mma.sync m16n8k16 reaches 63 % of one in 4 clocks
    "unit_issue": 8,  # published: 4 lanes of MUFU a clock and sub-core
    "shared_bytes_per_clk": 128,  # published: of a multiprocessor
    "jump": 6,  # assumed: a taken branch
}
LATENCY = {"LDG": "device", "LD": "device", "ATOMG": "device", "ATOM": "device", "LDS": "shared", "LDSM": "ldmatrix",
           "LDC": "constant", "SHFL": "shuffle"}
UNIT = {"MUFU", "F2F", "I2F", "F2I", "POPC", "FLO", "BREV"}
SUBCORES, TURNS = 4, 6


def _shared_bytes(i):
    if i.base == "LDSM":
        return 512 if i.name.endswith(".4") else 256 if i.name.endswith(".2") else 128
    return 512 if ".128" in i.name else 256 if ".64" in i.name else 128


class _Warp:
    def __init__(self, path, steps):
        self.path = path
        self.at = 0  # of all its turns
        waits = [k for k, i in enumerate(path) if work.is_wait(i)]
        gives = [k for k, i in enumerate(path) if work.is_give(i)]
        self.exchange_of = {k: n * steps // len(places) for places in (waits, gives) for n, k in enumerate(places)}
        self.gives_of_step = collections.Counter(self.exchange_of[k] for k in gives)
        self.ready = 0
        self.result, self.operand = [0] * 6, [0] * 6  # when the scoreboards are free
        self.waits_for = {}  # scoreboard: exchange that must have arrived
        self.barriers = 0
        self.begins = []


class _Subcore:
    def __init__(self, paths, steps, share, constants):
        self.steps, self.constants = steps, constants
        self.warps = [_Warp(path, steps) for path in paths]
        self.free = {"mma": 0, "unit": 0, "shared": 0}
        self.arrivals = collections.defaultdict(list)  # of barrier n
        self.given = collections.defaultdict(list)  # times at which exchange n was given, by every warp
        self.gives_of_step = sum((warp.gives_of_step for warp in self.warps), collections.Counter())
        pushes = any(i.base == "STAS" for path in paths for i in path)
        self.way = constants["push" if pushes else "through_l2"]
        self.share = share

    def arrived(self, exchange):
        """When what is given in that exchange is there; infinite while a warp still has to give."""
        if exchange < 0 or not self.gives_of_step:
            return 0
        expected = self.gives_of_step[exchange % self.steps]
        given = self.given[exchange]
        return max(given) + self.way if len(given) >= expected else math.inf

    def earliest(self, warp):
        i = warp.path[warp.at % len(warp.path)]
        time = warp.ready
        for scoreboard in range(6):
            if i.waits >> scoreboard & 1:
                time = max(time, warp.result[scoreboard], warp.operand[scoreboard])
                if scoreboard in warp.waits_for:
                    time = max(time, self.arrived(warp.waits_for[scoreboard]))
        if work.class_of(i) == "product":
            time = max(time, self.free["mma"])
        elif i.base in UNIT:
            time = max(time, self.free["unit"])
        return time

    def take(self, pipe, time, clocks):
        """A pipe is busy for that long; from the fraction of a clock on at which it was free, if that was just now."""
        free = self.free[pipe]
        self.free[pipe] = (free if free > time - 1 else time) + clocks

    def issue(self, warp, time):
        constants, length = self.constants, len(warp.path)
        turn, k = divmod(warp.at, length)
        i = warp.path[k]
        if k == 0:
            warp.begins.append(time)
        latency = constants["unit"] if i.base in UNIT else constants[LATENCY.get(i.base, "other")]
        if work.class_of(i) == "product":
            self.take("mma", time, constants["mma_issue"])
        elif i.base in UNIT:
            self.take("unit", time, constants["unit_issue"])
        elif i.base in ("LDS", "LDSM", "STS"):
            begin = max(self.free["shared"], time)
            self.free["shared"] = begin + _shared_bytes(i) / constants["shared_bytes_per_clk"] * self.share
            latency += begin - time
        for scoreboard in range(6):
            if i.waits >> scoreboard & 1:
                warp.waits_for.pop(scoreboard, None)
        if work.is_give(i):
            self.given[turn * self.steps + warp.exchange_of[k]].append(time)
        if i.write_barrier < 6:
            warp.result[i.write_barrier] = max(warp.result[i.write_barrier], time + latency)
            if work.is_wait(i):
                warp.waits_for[i.write_barrier] = turn * self.steps + warp.exchange_of[k] - 1
        if i.read_barrier < 6:
            operands = constants["unit_issue"] if i.base in UNIT else constants["operands"]
            warp.operand[i.read_barrier] = max(warp.operand[i.read_barrier], time + operands)
        after = warp.path[(k + 1) % length]
        warp.ready = time + i.stalls + (constants["jump"] if i.base == "BRA" and after.index != i.index + 1 else 0)
        if i.base == "BAR":
            self.meet(warp, time)
        warp.at += 1

    def meet(self, warp, time):
        met = self.arrivals[warp.barriers]
        met.append((warp, time, warp.ready))
        warp.barriers += 1
        warp.ready = math.inf
        if len(met) == len(self.warps):
            leave = max(arrival for _, arrival, _ in met) + self.constants["barrier"]
            for one, _, ready in met:
                one.ready = max(ready, leave)

    def run(self, turns):
        clock, last = -1, None
        while True:
            waiting = [(self.earliest(warp), warp is not last, k) for k, warp in enumerate(self.warps)
                       if warp.at < turns * len(warp.path)]
            if not waiting:
                return
            soonest = min(time for time, _, _ in waiting)
            if soonest == math.inf:
                raise RuntimeError("all warps wait for each other")
            clock = max(clock + 1, math.ceil(soonest))
            _, k = min((other, k) for time, other, k in waiting if time <= clock)  # the last one goes on if it can
            last = self.warps[k]
            self.issue(last, clock)


def warps_of_subcore(threads):
    """The numbers in their block of the warps of its first sub-core."""
    return range(0, math.ceil((threads or 128) / 32), SUBCORES)


def period(turn, threads, others=(), constants=None):
    """Clocks of a step. others: the turns of the sub-core's warps after the first; without them all have its turn."""
    def barriers(one):
        return sum(i.base == "BAR" for i in one.path)

    numbers = warps_of_subcore(threads)
    turns = [turn, *others]
    if len(turns) != len(numbers) or any((one.steps, barriers(one)) != (turn.steps, barriers(turn)) for one in others):
        turns = [turn] * len(numbers)
    subcore = _Subcore([one.path for one in turns], turn.steps, min(SUBCORES, math.ceil((threads or 128) / 32)),
                       constants or CONSTANTS)
    subcore.run(TURNS)
    begins = subcore.warps[0].begins
    return (begins[-1] - begins[-3]) / 2 / turn.steps
