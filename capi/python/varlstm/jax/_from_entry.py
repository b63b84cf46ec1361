"""A function that catches an interrupt on its entry as well."""
# SPDX-License-Identifier: Apache-2.0
import dis
import types
from typing import Callable


def _number(value: int) -> bytes:
    """As tables of exceptions have it: six bits a byte, the highest first, and 64 in each byte but the last."""
    digits = [value & 63]
    while value > 63:
        value >>= 6
        digits.insert(0, value & 63 | 64)
    return bytes(digits)


def caught_from_entry(function: Callable) -> Callable:
    """`function`, whose first statement is a try with handlers, such that these take what is raised before it too.

    A signal that waits when a function of Python is called raises its KeyboardInterrupt there, in an instruction RESUME
    before the first statement, where no handler is. The function gets a table in which the first handler's range begins
    with that instruction. Before Python 3.11 there is no such instruction, and none is needed: no signal is looked for
    before a try.
    """
    code = function.__code__
    if not hasattr(code, "co_exceptiontable"):
        return function
    entry = next(step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")
    first = min(dis.Bytecode(code).exception_entries, key=lambda one: one.start)
    numbers = [_number(number) for number in (entry // 2, (first.start - entry) // 2, first.target // 2,
                                              first.depth << 1 | first.lasti)]
    added = bytes([numbers[0][0] | 128]) + numbers[0][1:] + b"".join(numbers[1:])
    wider = code.replace(co_exceptiontable=added + code.co_exceptiontable)
    made = types.FunctionType(wider, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made
