# SPDX-License-Identifier: Apache-2.0
"""What is counted on the path of a turn: exact, and of one step of a warp."""
import collections

from static_cycles import work
from static_cycles.sass import NONE

# Instructions that are counted by themselves, by their base or the begin of their name.
SINGLE = {"mma": ("HMMA", "IMMA", "HGMMA"), "mufu": ("MUFU",), "bar": ("BAR",), "membar": ("MEMBAR",), "cctl": ("CCTL",),
          "shfl": ("SHFL",), "f2f": ("F2F",), "ldc": ("LDC", "ULDC"), "local": ("LDL", "STL"),
          "branches": ("BRA", "BSSY", "BSYNC", "WARPSYNC", "CALL"), "loads": ("LDG", "LD"), "stores": ("STG", "ST")}


def _uses(path, loads):
    """Pairs (load, the first instruction that waits on it); the second counts on beyond the turn if it is in the next."""
    count = len(path)
    for at in loads:
        until = next((until for until in range(at + 1, at + count + 1)
                      if path[until % count].waits_on(path[at].write_barrier)), None)
        if until is not None:
            yield at, until


def _polls(path):
    """Those pairs of loads of what other blocks give."""
    return list(_uses(path, [k for k, i in enumerate(path) if work.is_poll(i)]))


def _last_gives(path, steps):
    """The warps of a team of one block, which waits for no other, give each other results at the block's barrier."""
    gives = [k for k, i in enumerate(path) if work.is_give(i)]
    if not gives and not any(map(work.is_wait, path)):
        gives = [k for k, i in enumerate(path) if i.base == "BAR"]
    return [gives[(step + 1) * len(gives) // steps - 1] for step in range(steps)] if len(gives) >= steps else []


def _crosses(ends, at, until, count):
    return any(at < end < until or at < end + count < until for end in ends)


def polls_waited_on(path, steps):
    """The polls that a step waits on after it has given its results for the last time, in the exchange itself. Others it
    asks for earlier, and takes what has come meanwhile."""
    gives = _last_gives(path, steps)
    return [pair for pair in _polls(path) if not _crosses(gives, *pair, len(path))]


def loads_waited_on(path, steps):
    """Pairs (load, the first instruction that waits on it) of loads of device memory on which their own step waits.

    What is asked for before a step gives its results, and waited on after that, comes in the time that the exchange takes.
    So does what is asked for before the others' results have come, and used after it; in a team of one block, that is where
    the block meets if it does so once. All others are waited on in their own step.
    """
    come = [k for k, i in enumerate(path) if work.is_wait(i) and not work.is_poll(i)]
    come += [until % len(path) for _, until in _polls(path)]
    meets = [k for k, i in enumerate(path) if i.base == "BAR"]
    ends = come + _last_gives(path, steps) or (meets if len(meets) == steps else [-1])
    loads = [k for k, i in enumerate(path) if work.is_plain_load(i) and i.write_barrier != NONE]
    return [pair for pair in _uses(path, loads) if not _crosses(ends, *pair, len(path))]


def rounds_of(pairs):
    """How often a latency is waited for: loads that are under way at one time are one round."""
    rounds, end = 0, -1
    for at, until in sorted(pairs, key=lambda pair: pair[1]):
        if at >= end:
            rounds, end = rounds + 1, until
    return rounds


def of_turn(turn):
    """Name: how many of a step; whole numbers unless the steps of a turn differ."""
    classes, stalls = collections.Counter(), collections.Counter()
    for i in turn.path:
        classes[work.class_of(i)] += 1
        stalls[work.class_of(i)] += i.stalls
    waited = loads_waited_on(turn.path, turn.steps)
    bases = collections.Counter(i.base for i in turn.path)

    def step(number):
        each = number / turn.steps
        return int(each) if each == int(each) else each

    return {
        "instructions": step(len(turn.path)), "stalls": step(sum(stalls.values())),
        "loads_waited": step(len(waited)), "load_rounds": step(rounds_of(waited + polls_waited_on(turn.path, turn.steps))),
        **{name: step(sum(bases[base] for base in of)) for name, of in SINGLE.items()},
        "by_class": {name: {"instructions": step(classes[name]), "stalls": step(stalls[name])}
                     for name in work.NAMES if classes[name]},
    }
