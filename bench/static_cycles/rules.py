# SPDX-License-Identifier: Apache-2.0
"""What instructions for integers and predicates compute, of values that may be unknown (values.py).

A rule takes the values and an instruction and returns what it writes: ([a value for each register], [one for each
predicate]); those that are missing are unknown.
"""
import re
import struct

from static_cycles.operands import PREDICATE, REGISTER, destinations, results_of
from static_cycles.work import is_strong

GIVEN, THERE = "given", "there"
OF_FIRST_BLOCK = 512  # its threads and units have numbers below it; a size is taken to be larger
MASK = (1 << 32) - 1


def _copy(values, i):
    return [values.value(i.operands[-1])], []


def _load(values, i):
    return [THERE if is_strong(i) else 0] * 4 if values.in_loop else [], []


def _constant(_, i):
    return [GIVEN] * 4, []


def _clear(_, i):
    return ([0, 0] if i.operands[-1] == "SRZ" else []), []


def _special(values, i):
    if i.operands[-1] == "SR_TID.X":
        return [values.thread], []
    return ([0] if i.operands[-1].startswith(("SR_TID", "SR_LANEID", "SR_CTAID")) else []), []


def _shuffle(values, i):
    """The warp's first lane is the thread that is followed."""
    value, lane = _sources(i)[:2]
    return ([values.value(value)] if ".IDX" in i.name and values.value(lane) == 0 else []), []


def _predicates(values, i):
    """Bit k of the result is Pk where the mask has it, else that of the source."""
    source, mask = (values.value(text) for text in i.operands[2:4])
    if not isinstance(source, int) or not isinstance(mask, int):
        return [], []
    bits = [values.predicates.get(f"P{k}") if mask >> k & 1 else source >> k & 1 for k in range(7)]
    return ([] if None in bits else [source & ~0x7f | sum(int(bit) << k for k, bit in enumerate(bits))]), []


def _halves(_, i):
    """ptxas also loads a constant by -0 * 0 + (a, b) in two halves."""
    if i.operands[1:3] != ["-RZ", "RZ"] or REGISTER.match(i.operands[3]):
        return [], []
    high, low = (int.from_bytes(struct.pack("<e", float(text)), "little") for text in i.operands[3:5])
    return [high << 16 | low], []


def _sources(i):
    register, predicates = destinations(i)
    return i.operands[(register is not None) + len(predicates):]


def _add(values, i):
    sources = _sources(i)
    terms = [text for text in sources if not PREDICATE.match(text)]
    numbers = values.numbers(terms)
    carries = [values.predicate(text) for text in sources if PREDICATE.match(text)] if ".X" in i.name else []
    if numbers is None or None in carries:
        return [], []
    if carries:
        total = sum(numbers) + sum(carries)
    else:  # -x is ~x and one more, which may carry
        total = sum(numbers) + sum((1 << 32) if text.startswith("-") and number == 0 else 0
                                   for text, number in zip(terms, numbers))
    return [total & MASK], [total > MASK]


def _upper(text):
    """The register that holds the upper half of a pair whose lower half is this operand; a constant has none."""
    match = re.match(r"(U?R)(\d+)", text)
    return f"{match[1]}{int(match[2]) + 1}" if match else "RZ"


def _multiply_add(values, i):
    """The quotient by a constant is the upper half of a product of 64 bits."""
    if i.name.startswith("IMAD.MOV"):
        return _copy(values, i)
    if ".X" in i.name:
        return [], []
    sources = [text for text in _sources(i) if not PREDICATE.match(text)]
    wide = ".WIDE" in i.name or ".HI" in i.name
    numbers = values.numbers(sources + ([_upper(sources[2])] if wide else []))
    if numbers is None:
        return [], []
    a, b, low, *high = numbers
    if not wide:
        return [a * b + low & MASK], []
    product = a * b if ".U32" in i.name else signed(a) * signed(b)
    total = product + (high[0] << 32 | low)
    halves = [total & MASK, total >> 32 & MASK]
    return (halves if ".WIDE" in i.name else halves[1:]), []


def _logic(values, i):
    """Bits that are looked at in a word that came are those that were waited for: they differ in nothing."""
    sources = _sources(i)
    table = int(sources[3], 0)
    words = [values.value(text) for text in sources[:3]]
    if THERE in words:
        return [0], [False]
    if table == 0xc0 and 0 in words[:2]:
        word = 0
    elif all(isinstance(value, int) for value in words):
        word = 0
        for bit in range(8):
            if table >> bit & 1:
                word |= ((words[0] if bit & 4 else ~words[0]) & (words[1] if bit & 2 else ~words[1]) &
                         (words[2] if bit & 1 else ~words[2]))
        word &= MASK
    else:
        return [], []
    return [word], [word != 0]


def _shift(values, i):
    numbers = values.numbers(_sources(i)[:3])
    if numbers is None:
        return [], []
    low, by, high = numbers
    if by > 63:
        return [], []
    both = high << 32 | low
    if ".L." in i.name:
        both <<= by
        return [both >> 32 & MASK if ".HI" in i.name else both & MASK], []
    if ".S32" in i.name or ".S64" in i.name:
        return ([signed(high) >> by & MASK] if ".HI" in i.name and by < 32 else []), []
    return [(high >> by if ".HI" in i.name else both >> by) & MASK], []


def _shift_and_add(values, i):
    sources = _sources(i)
    numbers = values.numbers(sources) if ".X" not in i.name and ".SX32" not in i.name else None
    if numbers is None:
        return [], []
    if ".HI" in i.name:
        low, add, high, by = numbers
        return [((high << 32 | low) << by >> 32) + add & MASK], []
    word, add, by = numbers
    return [(word << by) + add & MASK], []


def signed(word):
    return word - (1 << 32) if word >> 31 else word


def _least_or_most(values, i):
    *words, which = i.operands[1:5] if i.base == "VIMNMX3" else i.operands[1:4]
    if THERE in [values.value(text) for text in words]:
        return [THERE], []
    numbers = values.numbers(words)
    least = values.predicate(which) if PREDICATE.match(which) else None
    if numbers is None or least is None:
        return [], []
    return [(min if least else max)(numbers, key=None if ".U32" in i.name else signed)], []


def _select(values, i):
    chosen = values.predicate(i.operands[3]) if PREDICATE.match(i.operands[3]) else None
    ways = [values.value(text) for text in i.operands[1:3]]
    if chosen is None:
        return ([ways[0]] if ways[0] == ways[1] else []), []
    return [ways[0 if chosen else 1]], []


COMPARE = {"EQ": lambda a, b: a == b, "NE": lambda a, b: a != b, "LT": lambda a, b: a < b, "LE": lambda a, b: a <= b,
           "GT": lambda a, b: a > b, "GE": lambda a, b: a >= b}


def compare(how, a, b, unsigned):
    """A comparison of two words; None if it is unknown."""
    if THERE in (a, b):
        if 0 in (a, b) or MASK in (a, b):  # what is no word yet
            return {"EQ": False, "NE": True}.get(how)
        return {"EQ": True, "NE": False, "GE": a == THERE, "GT": a == THERE, "LE": b == THERE, "LT": b == THERE}[how]
    if GIVEN in (a, b):
        number = b if a == GIVEN else a
        if not isinstance(number, int) or number >= OF_FIRST_BLOCK:
            return None
        return {"EQ": None if number else False, "NE": None if number else True, "GT": a == GIVEN, "GE": a == GIVEN, "LT": b == GIVEN,
                "LE": b == GIVEN}[how]
    if a is None or b is None:
        return None
    if not unsigned:
        a, b = signed(a), signed(b)
    return COMPARE[how](a, b)


def both(a, b):
    return False if False in (a, b) else None if None in (a, b) else True


def either(a, b):
    return True if True in (a, b) else None if None in (a, b) else False


def _compare(values, i):
    parts = i.name.split(".")[1:]
    how, unsigned = parts[0], "U32" in parts
    a, b = (values.value(text) for text in i.operands[2:4])
    if "EX" in parts:
        low, same = values.predicate(i.operands[5]), compare("EQ", a, b, True)
        if how in ("EQ", "NE"):
            result = (both if how == "EQ" else either)(compare(how, a, b, unsigned), low)
        else:
            result = either(compare(how[0] + "T", a, b, unsigned), both(same, low))
    else:
        result = compare(how, a, b, unsigned)
    more = values.predicate(i.operands[4])
    combine = either if "OR" in parts else both
    if "XOR" in parts:
        return [], []
    return [], [combine(result, more), combine(None if result is None else not result, more)]


def _logic_of_predicates(values, i):
    sources = [values.predicate(text) for text in i.operands[2:5]]
    outcomes = set()
    for bits in range(8):
        if all(known is None or known == bool(bits >> 2 - k & 1) for k, known in enumerate(sources)):
            outcomes.add(bool(int(i.operands[5], 0) >> bits & 1))
    return [], [outcomes.pop() if len(outcomes) == 1 else None]


def _vote(values, i):
    sources = [text for text in i.operands if PREDICATE.match(text)]
    known = values.predicate(sources[-1])
    registers, _ = results_of(i)
    if registers:
        return [0 if known is False else None], [known]
    return [], [known]


def _phase(_, i):
    return [], [True] if "TRYWAIT" in i.name else []


RULES = {
    "MOV": _copy, "UMOV": _copy, "R2UR": _copy, "LDG": _load, "LD": _load, "LDC": _constant, "ULDC": _constant,
    "CS2R": _clear, "S2R": _special, "SHFL": _shuffle, "S2UR": _special, "P2R": _predicates, "HFMA2": _halves, "IADD3": _add,
    "UIADD3": _add, "VIADD": _add, "IMAD": _multiply_add, "UIMAD": _multiply_add, "LEA": _shift_and_add,
    "ULEA": _shift_and_add, "VIMNMX": _least_or_most, "VIMNMX3": _least_or_most, "IMNMX": _least_or_most, "LOP3": _logic, "ULOP3": _logic,
    "SHF": _shift, "USHF": _shift, "SEL": _select, "USEL": _select, "ISETP": _compare, "UISETP": _compare,
    "PLOP3": _logic_of_predicates, "UPLOP3": _logic_of_predicates, "VOTE": _vote, "VOTEU": _vote, "SYNCS": _phase,
}
