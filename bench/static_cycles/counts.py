# SPDX-License-Identifier: Apache-2.0
"""What is counted on the path of a turn: exact, and of one step of a warp."""
import collections

from static_cycles import work
from static_cycles.sass import NONE

# Instructions that are counted by themselves, by their base or the begin of their name.
SINGLE = {"mma": ("HMMA", "IMMA"), "mufu": ("MUFU",), "bar": ("BAR",), "membar": ("MEMBAR",), "cctl": ("CCTL",),
          "shfl": ("SHFL",), "f2f": ("F2F",), "ldc": ("LDC", "ULDC"), "local": ("LDL", "STL"),
          "branches": ("BRA", "BSSY", "BSYNC", "WARPSYNC", "CALL"), "loads": ("LDG", "LD"), "stores": ("STG", "ST")}


def _ends_of_steps(path, steps):
    """Where results are given for the last time in a step, and where it asks for those of others; or the turn's end."""
    waits = [k for k, i in enumerate(path) if work.is_wait(i)]
    gives = [k for k, i in enumerate(path) if work.is_give(i)]
    last = [gives[(step + 1) * len(gives) // steps - 1] for step in range(steps)] if len(gives) >= steps else []
    return waits + last or [-1]


def loads_waited_on(path, steps):
    """Pairs (load, the first instruction that waits on it) of loads of device memory on which their own step waits. The
    second counts on beyond the turn if it is in the next.

    What is asked for before a step gives its results, and waited on after that, comes in the time that the exchange takes.
    So does what is asked for before the wait for the others' results, and used after it. All others are waited on in their
    own step.
    """
    ends, pairs, count = _ends_of_steps(path, steps), [], len(path)
    for at, load in enumerate(path):
        if not work.is_plain_load(load) or load.write_barrier == NONE:
            continue
        for until in range(at + 1, at + count + 1):
            if path[until % count].waits_on(load.write_barrier):
                if not any(at < end < until or at < end + count < until for end in ends):
                    pairs.append((at, until))
                break
    return pairs


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
        "loads_waited": step(len(waited)), "load_rounds": step(rounds_of(waited)),
        **{name: step(sum(bases[base] for base in of)) for name, of in SINGLE.items()},
        "by_class": {name: {"instructions": step(classes[name]), "stalls": step(stalls[name])}
                     for name in work.NAMES if classes[name]},
    }
