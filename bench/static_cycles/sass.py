# SPDX-License-Identifier: Apache-2.0
"""The text of `nvdisasm -hex`, with the control bits of each instruction.

An instruction has 128 bits. Those from 105 on are for the scheduler, which does not look at registers:

    stall          bits 105-108   clocks until the warp issues its next instruction, at least one
    write barrier  bits 110-112   scoreboard that is held until the result is there; 7: none
    read barrier   bits 113-115   scoreboard that is held until the operands are read; 7: none
    waits          bits 116-121   scoreboards that must be free before the instruction is issued, a bit each
"""
import dataclasses
import re

NONE = 7  # no scoreboard
FIRST_CONTROL_BIT = 105 - 64

FUNCTION = re.compile(r"^\.text\.(\S+):$")
INFO = re.compile(r'^\s*\.section\s+\.nv\.info\.([^",\s]+)')
LABEL = re.compile(r'^(?:\.L_x_\d+|\$?[\w$]+):$')
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;?\s*/\* 0x[0-9a-f]{16} \*/$")
SECOND_HALF = re.compile(r"^\s*/\* 0x([0-9a-f]{16}) \*/$")
PREDICATE = re.compile(r"^@(!?)(U?P(?:\d|T))\s+")
TARGET = re.compile(r"`\((.+?)\)")
COMPILER = re.compile(r'"Cuda compilation tools, release ([\d.]+), V([\d.]+)"')
ARCHITECTURE = re.compile(r"^\s*\.target\s+(\w+)")
WORD = re.compile(r"/\*[0-9a-f]+\*/\s+\.word\s+0x([0-9a-f]+)")


@dataclasses.dataclass(eq=False)
class Instruction:
    index: int  # in its kernel
    text: str
    negated: bool  # of the predicate
    predicate: str  # its name, or None
    name: str  # with its suffixes
    base: str  # without
    operands: list
    target: str  # the label that it names, or None
    stall: int
    write_barrier: int
    read_barrier: int
    waits: int

    @property
    def stalls(self):
        """Clocks until the next instruction of the warp."""
        return max(1, self.stall)

    def waits_on(self, barrier):
        return barrier < NONE and bool(self.waits >> barrier & 1)


@dataclasses.dataclass
class Kernel:
    name: str
    instructions: list
    labels: dict  # name: index of the instruction after it
    threads: int  # the most of a block; 0: nothing says so


@dataclasses.dataclass
class Cubin:
    compiler: str  # such as "13.0.88", or None
    architecture: str
    kernels: list


def decode(text, second_half, index):
    """An instruction from its text and the upper 64 bits of its encoding."""
    control = second_half >> FIRST_CONTROL_BIT
    guard = PREDICATE.match(text)
    body = text[guard.end():] if guard else text
    name, _, operands = body.partition(" ")
    target = TARGET.search(body)
    return Instruction(
        index=index, text=text, negated=bool(guard and guard.group(1)), predicate=guard.group(2) if guard else None,
        name=name, base=name.split(".")[0],
        operands=[operand.strip() for operand in operands.split(",")] if operands else [],
        target=target.group(1) if target else None, stall=control & 15, write_barrier=control >> 5 & 7,
        read_barrier=control >> 8 & 7, waits=control >> 11 & 63)


def parse(text, wanted=lambda name: True):
    """A cubin with its wanted kernels. Labels that no instruction follows are dropped."""
    compiler = COMPILER.search(text)
    architecture = re.search(ARCHITECTURE.pattern, text, re.MULTILINE)
    kernels, threads = {}, {}
    kernel = info = pending = None
    awaits_threads = False
    for line in text.splitlines():
        section = INFO.match(line)
        if section:
            info, kernel, awaits_threads = section.group(1), None, False
            continue
        if info and "EIATTR_MAX_THREADS" in line:
            awaits_threads = True
        elif awaits_threads and WORD.search(line):
            threads[info], awaits_threads = int(WORD.search(line).group(1), 16), False
        function = FUNCTION.match(line)
        if function:
            info, kernel, name = None, None, function.group(1)
            if wanted(name):
                kernel = kernels[name] = Kernel(name, [], {}, 0)
        elif line.lstrip().startswith(".section"):
            kernel = None
        elif kernel is None:
            continue
        elif LABEL.match(line):
            kernel.labels[line[:-1]] = len(kernel.instructions)
        elif INSTRUCTION.match(line):
            pending = INSTRUCTION.match(line).group(1)
        elif pending is not None and SECOND_HALF.match(line):
            half = int(SECOND_HALF.match(line).group(1), 16)
            kernel.instructions.append(decode(pending, half, len(kernel.instructions)))
            pending = None
    for kernel in kernels.values():
        kernel.threads = threads.get(kernel.name, 0)
        kernel.labels = {name: at for name, at in kernel.labels.items() if at < len(kernel.instructions)}
    return Cubin(compiler.group(2) if compiler else None, architecture.group(1) if architecture else None,
                 list(kernels.values()))
