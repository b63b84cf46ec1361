# SPDX-License-Identifier: Apache-2.0
"""The loops of a kernel, and which of them is the time loop.

A loop is a natural loop: a head that dominates a jump back to it, and every block from which that jump is reached without
the head. So code that ptxas puts behind a kernel's end and that jumps back belongs to its loop, and makes none.
"""
import dataclasses

from static_cycles import work


@dataclasses.dataclass
class Block:
    first: int  # instructions first to last
    last: int
    next: list  # the blocks that may follow; one that is run by falling through is the first


@dataclasses.dataclass
class Loop:
    head: int  # a block
    blocks: set
    back: set  # the blocks that jump back to the head


def is_conditional(branch):
    """Whether a BRA may also fall through."""
    return branch.predicate not in (None, "PT", "UPT") or ".DIV" in branch.name or ".U" in branch.name


def make_blocks(kernel):
    code, labels = kernel.instructions, kernel.labels
    ends = {i.index for i in code if i.base in ("BRA", "EXIT", "RET", "JMP", "BRX", "CALL") or
            i.base == "WARPSYNC" and i.target}
    starts = sorted({0, *labels.values(), *(end + 1 for end in ends if end + 1 < len(code))})
    number = {first: k for k, first in enumerate(starts)}
    blocks = []
    for k, first in enumerate(starts):
        end = starts[k + 1] if k + 1 < len(starts) else len(code)
        last = code[end - 1]
        falls = end < len(code)
        if last.base == "BRA":
            falls = falls and is_conditional(last)
        elif last.base in ("EXIT", "RET", "BRX", "JMP"):
            falls = falls and last.predicate is not None
        to = [number[end]] if falls else []
        if last.base in ("BRA", "WARPSYNC") and last.target in labels:
            to.append(number[labels[last.target]])
        blocks.append(Block(first, end - 1, to))
    return blocks


def find_loops(blocks):
    """All natural loops; those with one head are one."""
    before = {k: [] for k in range(len(blocks))}
    for k, block in enumerate(blocks):
        for to in block.next:
            before[to].append(k)
    order, seen, stack = [], {0}, [(0, iter(blocks[0].next))]
    while stack:  # depth first
        k, rest = stack[-1]
        to = next((to for to in rest if to not in seen), None)
        if to is None:
            order.append(k)
            stack.pop()
        else:
            seen.add(to)
            stack.append((to, iter(blocks[to].next)))
    order.reverse()
    place = {k: at for at, k in enumerate(order)}
    dominator = {0: 0}

    def common(a, b):
        while a != b:
            while place[a] > place[b]:
                a = dominator[a]
            while place[b] > place[a]:
                b = dominator[b]
        return a

    changed = True
    while changed:
        changed = False
        for k in order[1:]:
            known = [one for one in before[k] if one in dominator]
            new = known[0]
            for one in known[1:]:
                new = common(new, one)
            if dominator.get(k) != new:
                dominator[k], changed = new, True

    def dominates(a, b):
        while place[b] > place[a]:
            b = dominator[b]
        return a == b

    loops = {}
    for k in order:
        for head in blocks[k].next:
            if not dominates(head, k):
                continue
            loop = loops.setdefault(head, Loop(head, {head}, set()))
            loop.back.add(k)
            stack = [k]
            while stack:
                one = stack.pop()
                if one not in loop.blocks:
                    loop.blocks.add(one)
                    stack += [way for way in before[one] if way in place]
    return list(loops.values())


def _loops_with_code(kernel, blocks):
    return [(loop, [i for k in loop.blocks for i in kernel.instructions[blocks[k].first:blocks[k].last + 1]])
            for loop in find_loops(blocks)]


def time_loop(kernel, blocks):
    """The innermost loop that has both a product and an exchange between threads; None if there is none."""
    fitting = [(len(code), loop) for loop, code in _loops_with_code(kernel, blocks)
               if work.has_product(code) and work.has_exchange(code)]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def loops_of_both(kernel, blocks):
    """Where a warpgroup of its own multiplies: (the innermost loop of the threads that own cells, which meet and load device
    memory, the outermost one of those that multiply); None if there are none."""
    loops = _loops_with_code(kernel, blocks)
    products = [(len(code), loop) for loop, code in loops if work.has_warpgroup_product(code)]
    cells = [(len(code), loop) for loop, code in loops if not work.has_warpgroup_product(code)
             and any(i.base == "BAR" for i in code) and any(map(work.is_plain_load, code))]
    if not products or not cells:
        return None
    return min(cells, key=lambda pair: pair[0])[1], max(products, key=lambda pair: pair[0])[1]
