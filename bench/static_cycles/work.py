# SPDX-License-Identifier: Apache-2.0
"""What kinds of instructions there are."""

CLASSES = {
    "product": ("HMMA", "IMMA", "DMMA", "WARPGROUP", "HGMMA"),
    "float": ("FADD", "FMUL", "FFMA", "FMNMX", "FSEL", "FSETP", "FSET", "HADD2", "HFMA2", "HMUL2"),
    "activation": ("MUFU",),
    "conversion": ("F2F", "F2FP", "F2I", "I2F", "I2FP", "FRND"),
    "move": ("MOV", "UMOV", "CS2R", "S2R", "S2UR", "R2UR", "P2R", "R2P", "PRMT", "UPRMT", "SEL", "USEL"),
    "constant": ("LDC", "ULDC", "LDCU"),
    "device": ("LDG", "STG", "LD", "ST", "ATOM", "ATOMG", "RED", "LDGSTS"),
    "shared": ("LDS", "STS", "LDSM", "STSM", "ATOMS"),
    "local": ("LDL", "STL"),
    "lanes": ("SHFL", "VOTE", "VOTEU", "REDUX", "MATCH"),
    "exchange": ("STAS", "SYNCS", "BAR", "MEMBAR", "CCTL", "ERRBAR", "CGAERRBAR", "FENCE", "UCGABAR_ARV", "UCGABAR_WAIT",
                 "NANOSLEEP", "UBLKCP", "UBLKRED"),
    "branch": ("BRA", "BSSY", "BSYNC", "BREAK", "BMOV", "WARPSYNC", "CALL", "RET", "EXIT", "YIELD", "NOP", "ENDCOLLECTIVE"),
}
CLASS_OF = {base: name for name, bases in CLASSES.items() for base in bases}
NAMES = [*CLASSES, "integer"]

# What a step is for. A branch whose outcome is not known goes where there is more of it (path.py).
_WORK = {"HMMA", "IMMA", "HGMMA", "MUFU", "SHFL", "BAR", "STAS", "SYNCS", "LDG", "LD", "STG", "ST", "RED", "ATOMG", "LDS", "STS",
         "LDSM", "LDL", "STL"}


def class_of(instruction):
    """Moves by IMAD are moves. What no class has is arithmetic of integers and predicates."""
    if instruction.name.startswith("IMAD.MOV"):
        return "move"
    return CLASS_OF.get(instruction.base, "integer")


def is_work(instruction):
    return instruction.base in _WORK


def has_product(code):
    """Products of matrices, or on CUDA cores: multiply-adds of what was read from shared memory. A loop with products of
    warpgroups also loads device memory: without that it is one over the stages of a step (kernels/recurrence/wide/), or that
    of a warpgroup which only multiplies."""
    bases = [i.base for i in code]
    if has_warpgroup_product(code):
        return any(map(is_plain_load, code))
    return "HMMA" in bases or "FFMA" in bases and "LDS" in bases


def has_warpgroup_product(code):
    return any(i.base == "HGMMA" for i in code)


def has_exchange(code):
    """Whether threads meet or send to each other there."""
    return any(i.base in ("BAR", "STAS", "SYNCS") or is_strong(i) for i in code)


def is_strong(instruction):
    """Whether other threads see an access of device memory in its order."""
    return instruction.base in ("LDG", "STG", "LD", "ST") and ".STRONG" in instruction.name


def is_poll(instruction):
    """Whether it loads what other blocks send through device memory."""
    return is_strong(instruction) and instruction.base in ("LDG", "LD")


def is_wait(instruction):
    """Whether it asks if what other blocks send is there."""
    return "TRYWAIT" in instruction.name or is_poll(instruction)


def is_give(instruction):
    """Whether it sends to other blocks."""
    return instruction.base == "STAS" or is_strong(instruction) and instruction.base in ("STG", "ST")


def is_plain_load(instruction):
    """Whether it loads device memory that no other block writes meanwhile."""
    return instruction.base in ("LDG", "LD") and not is_strong(instruction)
