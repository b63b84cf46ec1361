# SPDX-License-Identifier: Apache-2.0
"""The path of an ordinary step through the time loop.

A branch goes where the values of an ordinary step send it (values.py). If that is not known, it goes where more of a step's
work is until the turn ends, because the warps that do most of it set the pace, and with equal work where fewer instructions
are. Loops inside whose number of turns is known are run as often, others once. A turn of the time loop is several steps if
the loop is unrolled.
"""
import dataclasses
import re

from static_cycles import loops, work
from static_cycles.operands import REGISTER, results_of
from static_cycles.values import Values

MOST_INSTRUCTIONS = 200000
MOST_STEPS_OF_A_TURN = 8
TURNS = 6  # an entry of the schedule is carried through three: next, now, later


class NoTimeLoop(Exception):
    pass


@dataclasses.dataclass
class Turn:
    path: list  # the instructions of a turn, in their order
    steps: int  # of a turn
    guessed: int  # branches on the path whose outcome was not known


def _most_work(kernel, blocks, loop):
    """For each block of the loop (work, -instructions) from its begin to the end of the turn, on the best way."""
    best = {}
    calls = -1000

    def of_block(k):
        code = kernel.instructions[blocks[k].first:blocks[k].last + 1]
        return sum(work.is_work(i) + calls * (i.base == "CALL") for i in code), -len(code)

    def ways(k):
        return [to for to in blocks[k].next if to in loop.blocks and to != loop.head]

    # Depth first; a jump back to a block that is under way belongs to a loop inside, and is no way on.
    state, stack = {}, [loop.head]
    while stack:
        k = stack[-1]
        if state.get(k) == "done":
            stack.pop()
            continue
        if state.get(k) is None:
            state[k] = "under way"
            more = [to for to in ways(k) if to not in state]
            if more:
                stack += more
                continue
        own = of_block(k)
        after = [best[to] for to in ways(k) if to in best]
        ahead = max(after, default=(0, 0))
        best[k] = (own[0] + ahead[0], own[1] + ahead[1])
        state[k] = "done"
        stack.pop()
    return best


def _way_on(kernel, blocks, loop, best, k, values):
    """(the next block, whether that was a guess) after block k."""
    inside = [to for to in blocks[k].next if to in loop.blocks]
    if len(inside) < 2:
        return (inside[0] if inside else None), False
    last = kernel.instructions[blocks[k].last]
    falls, jumps = inside
    if last.base == "WARPSYNC" or ".DIV" in last.name:
        return falls, False
    if ".U" in last.name and ".ANY" not in last.name:  # that one jumps if the predicate of any lane is true
        known = values.predicate(last.operands[0])
    else:
        known = values.guard(last)
    if known is not None:
        return (jumps if known else falls), False
    if jumps == loop.head or falls == loop.head:
        return loop.head, False
    if blocks[jumps].first <= blocks[k].first:  # a loop inside that waits
        return falls, False
    return max((falls, jumps), key=lambda to: best.get(to, (-1, 0))), True


def _before(kernel, blocks, loop, values):
    """Runs what comes before the loop; a branch whose outcome is not known goes on to the loop by falling through."""
    leads, stack = {loop.head}, [loop.head]
    while stack:
        to = stack.pop()
        more = [k for k, block in enumerate(blocks) if to in block.next and k not in leads]
        leads.update(more)
        stack += more
    k, run = 0, 0
    while k != loop.head:
        block = blocks[k]
        for i in kernel.instructions[block.first:block.last + 1]:
            values.run(i)
        run += block.last - block.first + 1
        if run > MOST_INSTRUCTIONS:
            raise NoTimeLoop("what is before the time loop does not end")
        ways = [to for to in block.next if to in leads]
        known = values.guard(kernel.instructions[block.last]) if len(ways) == 2 else None
        k = ways[1] if known else ways[0]


def _walk(kernel, blocks, loop, best, values):
    path, guessed, k = [], 0, loop.head
    while True:
        block = blocks[k]
        code = kernel.instructions[block.first:block.last + 1]
        for i in code:
            values.run(i)
        path += code
        if len(path) > MOST_INSTRUCTIONS:
            raise NoTimeLoop("a turn of the time loop does not end")
        k, guess = _way_on(kernel, blocks, loop, best, k, values)
        guessed += guess
        if k == loop.head:
            return path, guessed
        if k is None:
            raise NoTimeLoop("the path of a step leaves the time loop")


def _origin(path, at, name):
    """(register at the begin of the turn, what was added to it since) of a register before path[at]; or None."""
    added = 0
    for i in reversed(path[:at]):
        if name not in results_of(i)[0] or i.predicate:
            continue
        sources = [text for text in i.operands[1:] if not re.match(r"^!?U?PT?\d?$", text)]
        names = [text for text in sources if REGISTER.match(text) and not text.startswith(("RZ", "URZ"))]
        numbers = [int(text, 0) for text in sources if re.match(r"^-?(0x[0-9a-f]+|\d+)$", text)]
        if len(names) != 1 or names[0][0] in "-~|" or i.base not in ("IADD3", "UIADD3", "VIADD", "MOV", "UMOV", "IMAD"):
            return None
        if i.base == "IMAD":
            if not i.name.startswith(("IMAD.MOV", "IMAD.IADD")):
                return None
            numbers = [] if i.name.startswith("IMAD.MOV") else numbers
            if i.name.startswith("IMAD.IADD") and len(numbers) == 2:  # R * 1 + number
                numbers = numbers[1:] if numbers[0] == 1 else numbers[:1]
            elif numbers == [1]:
                return None
        added += sum((number + (1 << 31)) % (1 << 32) - (1 << 31) for number in numbers)  # signed, of 32 bits
        name = names[0].split(".")[0]
    return name, added


def _comparison_of(path, branch):
    """(its index on the path, it): the comparison that decides a branch of the path; or None."""
    jump = path[branch]
    wanted = jump.operands[0].lstrip("!") if ".U" in jump.name else jump.predicate
    for at in range(branch - 1, -1, -1):
        i = path[at]
        if wanted not in results_of(i)[1]:
            continue
        if i.base in ("ISETP", "UISETP") and ".EX" not in i.name:
            return at, i
        sources = i.operands[5:6] if i.base in ("ISETP", "UISETP") else i.operands[2:5] if "PLOP3" in i.base else []
        names = {text.lstrip("!") for text in sources} - {"PT", "UPT"}
        if len(names) != 1:
            return None
        wanted = names.pop()  # of 64 bits the lower half; or a copy of a predicate
    return None


def _counted_by(path, branch, compared_before, compared):
    """By how much a turn changes what decides a branch; or None."""
    found = _comparison_of(path, branch)
    for k in range(2 if found else 0):
        at, comparison = found
        was, now = compared_before.get(comparison, [None] * 2)[k], compared.get(comparison, [None] * 2)[k]
        by = now - was if isinstance(was, int) and isinstance(now, int) else None
        text = comparison.operands[2 + k]
        if by is None and REGISTER.match(text) and text not in ("RZ", "URZ"):  # it counts from what is not known
            begin = _origin(path, at, text.split(".")[0])
            turn = begin and _origin(path, len(path), begin[0])
            by = turn[1] if turn and turn[0] == begin[0] else None
        if by is not None and 0 < abs(by) <= MOST_STEPS_OF_A_TURN:
            return abs(by)
    return None


def steps_of(path, compared_before, compared):
    """Steps of a turn: what its last branch counts by; else the waits for other blocks; else what an earlier branch counts
    by, which leaves the loop in its middle; else one."""
    last = _counted_by(path, len(path) - 1, compared_before, compared)
    if last:
        return last
    waits = sum("TRYWAIT" in i.name for i in path)
    if 0 < waits <= MOST_STEPS_OF_A_TURN:
        return waits
    branches = [at for at, i in enumerate(path) if i.base == "BRA" and i.predicate]
    return next((by for by in (_counted_by(path, at, compared_before, compared) for at in reversed(branches)) if by), 1)


def ordinary_turn(kernel, thread=0):
    """A turn of the kernel's time loop so late that all it carries is what earlier turns loaded. Where the last warpgroup of
    a block only multiplies, a turn of its loop follows one of the thread's: a step takes both, one after the other."""
    blocks = loops.make_blocks(kernel)
    both = loops.loops_of_both(kernel, blocks)
    if both is None:
        loop = loops.time_loop(kernel, blocks)
        if loop is None:
            raise NoTimeLoop("no loop has both a product and an exchange")
        return _turn_of(kernel, blocks, loop, thread)
    cells, products = (_turn_of(kernel, blocks, of, at) for of, at in zip(both, (thread, kernel.threads - 128)))
    return Turn(cells.path + products.path, 1, cells.guessed + products.guessed)


def _turn_of(kernel, blocks, loop, thread):
    best, values = _most_work(kernel, blocks, loop), Values(thread)
    _before(kernel, blocks, loop, values)
    values.in_loop = True
    for _ in range(TURNS):
        compared_before = dict(values.compared)
        path, guessed = _walk(kernel, blocks, loop, best, values)
    return Turn(path, steps_of(path, compared_before, values.compared), guessed)
