"""varlstm-bench's problem descriptors and distributions of lengths for the peers in Python: the same problems, and the same
lengths for the same seed, as bench/lstm_driver/problem.h and lengths.h describe them.

SPDX-License-Identifier: Apache-2.0
"""
import math
import re

EWT_QUANTILES = [1, 2, 3, 4, 6, 7, 9, 10, 11, 13, 14, 15, 17, 19, 20, 22, 25, 28, 32, 39, 159]
NAMES = {"l": "layers", "b": "batch", "i": "input", "h": "hidden", "d": "directions"}


def parse_problem(text):
    """{layers, batch, input, hidden, directions} of a descriptor such as l2b64i128h128d2."""
    parts = re.findall(r"([lbihd])(\d+)", text)
    given = {letter: int(number) for letter, number in parts}
    if "".join(letter + number for letter, number in parts) != text or not text or len(given) < len(parts):
        raise ValueError(f"«{text}» is no problem such as l1b16i128h128d1")
    if 0 in given.values() or given.get("d", 1) > 2:
        raise ValueError(f"«{text}»: a part is out of its range")
    hidden = given.get("h", 128)
    values = {"l": 1, "b": 16, "i": hidden, "h": hidden, "d": 1, **given}
    return {name: values[letter] for letter, name in NAMES.items()}


def describe(problem):
    return "".join(f"{letter}{problem[name]}" for letter, name in NAMES.items())


def read_problems(path):
    with open(path, encoding="utf-8") as file:
        return [parse_problem(word) for line in file for word in line.split("#")[0].split()]


class SplitMix:
    """SplitMix64 as bench/lstm_driver/random.h has it."""

    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 40) * 2.0**-24

    def normal(self):
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(6.283185307179586 * self.uniform())


def draw_lengths(text, batch, seed):
    """[batch] lengths of fixed:T, uniform:A:B, lognormal[:MEDIAN[:SIGMA]], ewt or file:F."""
    kind, *parts = text.split(":")
    random = SplitMix(seed)
    if kind == "fixed" and len(parts) == 1:
        return [int(parts[0])] * batch
    if kind == "uniform" and len(parts) == 2:
        low, high = map(int, parts)
        return [math.floor(low + random.uniform() * (high - low + 1)) for _ in range(batch)]
    if kind == "lognormal" and len(parts) <= 2:
        median, sigma = [float(part) for part in parts] + [32.0, 0.8][len(parts):]
        return [max(1, math.floor(median * math.exp(sigma * random.normal()) + 0.5)) for _ in range(batch)]
    if kind == "ewt" and not parts:
        def length():
            below, share = divmod(random.uniform() * (len(EWT_QUANTILES) - 1), 1)
            low, high = EWT_QUANTILES[int(below)], EWT_QUANTILES[int(below) + 1]
            return math.floor(low + share * (high - low) + 0.5)
        return [length() for _ in range(batch)]
    if kind == "file" and parts:
        with open(text[5:], encoding="ascii") as file:
            lengths = [int(word) for word in file.read().split()]
        return [lengths[k % len(lengths)] for k in range(batch)]
    raise ValueError(f"--lens = {text} is none of fixed:T, uniform:A:B, lognormal:MEDIAN:SIGMA, ewt, file:F")
