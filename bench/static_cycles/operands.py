# SPDX-License-Identifier: Apache-2.0
"""The operands of an instruction: registers and predicates, and which of them it writes."""
import functools
import re

REGISTER = re.compile(r"^(-|~|\|)?(U?R(?:\d+|Z))(?:\.[\w.]+)?\|?$")
PREDICATE = re.compile(r"^(!?)(U?P(?:\d|T))$")
WITHOUT_RESULT = {"STG", "ST", "STS", "STL", "STAS", "STSM", "BAR", "BRA", "EXIT", "BSSY", "BSYNC", "WARPSYNC", "MEMBAR",
                  "RED", "CCTL", "NANOSLEEP", "CALL", "RET", "NOP", "YIELD", "LDGSTS", "BREAK", "UCGABAR_ARV", "ERRBAR"}
WIDE = {"LDSM": 4, "HMMA": 4, "IMMA": 4}


@functools.lru_cache(maxsize=None)
def destinations(i):
    """(register or None, predicates): the operands that an instruction writes, which come first."""
    register, predicates = None, []
    for k, operand in enumerate(i.operands):
        if PREDICATE.match(operand) and "!" not in operand:
            if (i.base in ("VOTE", "VOTEU") and predicates or i.base in ("PLOP3", "UPLOP3") and k > 1 or
                    i.base in ("SEL", "FSEL", "USEL") and k > 0 or ".X" in i.name and k > 2):
                break
            predicates.append(operand)
        elif REGISTER.match(operand) and register is None and i.base not in ("ISETP", "UISETP", "FSETP", "HSETP2"):
            register = operand
        else:
            break
    return register, predicates


@functools.lru_cache(maxsize=None)
def results_of(i):
    """(registers, predicates) that an instruction writes, a register of each 32 bits."""
    if i.base in WITHOUT_RESULT:
        return [], []
    register, predicates = destinations(i)
    if register is None or register.endswith("Z"):
        return [], predicates
    width = WIDE.get(i.base, 1)
    if i.base == "CS2R" or ".WIDE" in i.name or re.search(r"\.(64|U64)\b", i.name) and i.base not in ("SHF", "I2F"):
        width = 2
    if i.base in ("LDG", "LD", "LDS", "LDC", "ULDC", "LDL") and ".128" in i.name:
        width = 4
    prefix, number = re.match(r"(U?R)(\d+)", register).groups()
    return [f"{prefix}{int(number) + k}" for k in range(width)], predicates
