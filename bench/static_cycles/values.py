# SPDX-License-Identifier: Apache-2.0
"""What registers hold in an ordinary step, as far as it is known without data.

An ordinary step is one in the middle of all sequences, which has everything that a caller may ask for:

    what the loop loads is 0                   a schedule entry with a row and without marks: no first token, no last
    what the parameters hold is GIVEN          pointers are not null, options are set, counts are not 0
    what is waited for is there                a barrier's phase, a flag that is large enough, a word that came
    the thread is the first of its warp        in the first block; that of its first warp arms barriers and sets flags, too

Everything else that is no constant is unknown (None): sizes, what was loaded before the loop. A predicate is
True, False or None.
"""
import re

from static_cycles.operands import PREDICATE, REGISTER, results_of
from static_cycles.rules import GIVEN, MASK, RULES


class Values:
    def __init__(self, thread=0):
        self.thread = thread  # of the block
        self.in_loop = False
        self.registers = {}
        self.predicates = {}
        self.compared = {}  # what a comparison of integers compared when it was run last

    def predicate(self, text):
        """Of an operand such as «!P3»."""
        negated, name = PREDICATE.match(text).groups()
        value = True if name in ("PT", "UPT") else self.predicates.get(name)
        return value if value is None or not negated else not value

    def guard(self, i):
        if i.predicate is None:
            return True
        return self.predicate(("!" if i.negated else "") + i.predicate)

    def value(self, text):
        """Of an operand: a number of 32 bits, GIVEN, THERE or None."""
        if text.startswith("c["):
            return GIVEN
        if re.match(r"^-?(0x[0-9a-f]+|\d+)$", text):
            return int(text, 0) & MASK
        match = REGISTER.match(text)
        if not match:
            return None
        sign, name = match.groups()
        value = 0 if name.endswith("Z") else self.registers.get(name)
        if sign and isinstance(value, int):
            return {"-": -value, "~": ~value, "|": value}[sign] & MASK
        return None if sign else value

    def numbers(self, texts):
        """The operands' values if all are numbers, else None."""
        values = [self.value(text) for text in texts]
        return values if all(isinstance(value, int) for value in values) else None

    def run(self, i):
        """Executes one instruction."""
        guard = self.guard(i)
        if guard is False:
            return
        registers, predicates = results_of(i)
        if i.base in ("ISETP", "UISETP"):
            self.compared[i] = [self.value(text) for text in i.operands[2:4]]
        rule = RULES.get(i.base)
        values, flags = rule(self, i) if rule else ([], [])
        unsure = guard is None and i.base not in ("LDG", "LD", "LDC", "ULDC")
        for k, name in enumerate(registers):
            self.registers[name] = values[k] if k < len(values) and not unsure else None
        for k, name in enumerate(predicates):
            self.predicates[name] = flags[k] if k < len(flags) and not unsure else None
        if i.base == "R2P":
            self.predicates = {}
