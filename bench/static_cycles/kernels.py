# SPDX-License-Identifier: Apache-2.0
"""The kernels of cubins: their machine code, their tiles, and what is counted of a step of each."""
import dataclasses
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(ROOT, "tools"))
import sass_check  # noqa: E402  # pylint: disable=wrong-import-position

from static_cycles import counts, path, sass, simulator  # noqa: E402  # pylint: disable=wrong-import-position

RESIDENT = re.compile(r"(forward|backward|layers)_kernelI\w*?ResidentTileI\w*?\d([A-Z]\w*?)CellE"
                      r"\w*?\d(Bf16|F16|Tf32|F32)MathE((?:Li\d+E)+)E.*?(Block|Cluster|Grid)\w*?Exchange")
WIDE = re.compile(r"wide_(forward|backward)_kernelI\w*?Wide(?:Team|Backward)TileI\w*?\d([A-Z]\w*?)CellE"
                  r"\w*?\d(Bf16|F16|Tf32)MathELi(\d+)E(?:Li(\d+)E)?Lb([01])E")
KEY = ("pass", "cell", "policy", "math", "H", "units", "slots", "splits", "register_tiles")


@dataclasses.dataclass
class Step:
    name: str  # mangled
    tile: dict  # by KEY; None: no kernel of a tile
    threads: int
    steps: int  # of a turn of the loop
    guessed: int
    counted: dict
    period: float  # simulated; None: not asked for

    @property
    def label(self):
        return " ".join(str(self.tile[name]) for name in KEY) if self.tile else self.name


@dataclasses.dataclass
class File:
    path: str
    compiler: str
    architecture: str
    steps: list


def tile_of(name):
    """The tile of a mangled name, or None. One block alone is the smallest team of the policy cluster. Wide teams have the
    policy «wide», or «wide_stepwise» if the order of their sums is that of stepwise; splits are the sums of a unit."""
    wide = WIDE.search(name)
    if wide:
        which, cell, math, hidden, depth, in_order = wide.groups()
        of_tiles = int(depth) > 0 if which == "forward" else in_order == "1"
        in_tf32 = of_tiles and math == "Tf32"  # the tiles have blocks of 8 units, and so twice as many groups of parts
        splits = 4 if not of_tiles else int(hidden) // int(depth) if which == "forward" else 16 if in_tf32 else 8
        units = 8 if in_tf32 and which == "forward" else 16
        values = (which, cell.lower(), "wide" if of_tiles else "wide_stepwise", math.lower(), int(hidden), units, 64, splits,
                  "0")
        return dict(zip(KEY, values))
    match = RESIDENT.search(name)
    if not match:
        return None
    which, cell, math, numbers, exchange = match.groups()
    hidden, units, slot_tiles, splits, *registers = (int(number) for number in re.findall(r"Li(\d+)E", numbers))
    values = (which, cell.lower(), "grid" if exchange == "Grid" else "cluster", math.lower(), hidden, units, 8 * slot_tiles,
              splits, "/".join(map(str, registers)))
    return dict(zip(KEY, values))


def find_nvdisasm():
    return sass_check.find("nvdisasm")


def cubins_of_build(folder):
    return sorted(glob.glob(os.path.join(folder, "kernel_resources", "*.cubin")))


def _narrowed(cubin, names, nvdisasm_text):
    """{name: accesses that ptxas made narrower}; None where there is no PTX beside the cubin."""
    stem = os.path.splitext(os.path.basename(cubin))[0] + ".ptx"
    folder = os.path.dirname(os.path.abspath(cubin))
    places = [os.path.join(folder, stem), os.path.join(os.path.dirname(folder), "ptx", stem)]
    ptx = next((place for place in places if os.path.exists(place)), None)
    if ptx is None:
        return {name: None for name in names}
    with open(ptx, encoding="utf-8") as file:
        of_ptx = sass_check.of_ptx(file.read())
    of_sass = sass_check.of_sass(nvdisasm_text)
    return {name: len(sass_check.narrowed(of_ptx[name], of_sass[name])) if name in of_ptx and name in of_sass else None
            for name in names}


def _period(kernel, turn):
    others = [path.ordinary_turn(kernel, 32 * warp) for warp in simulator.warps_of_subcore(kernel.threads) if warp > 0]
    return simulator.period(turn, kernel.threads, others)


def read(cubin, nvdisasm, wanted=lambda name: True, simulate=True):
    """The steps of a cubin's kernels that have a time loop."""
    done = subprocess.run([nvdisasm, "-hex", cubin], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{cubin} is no cubin: {(done.stderr or done.stdout).strip()}")
    parsed = sass.parse(done.stdout, wanted)
    steps = []
    for kernel in parsed.kernels:
        try:
            turn = path.ordinary_turn(kernel)
        except path.NoTimeLoop as reason:
            if tile_of(kernel.name):
                raise path.NoTimeLoop(f"{cubin}: {kernel.name}: {reason}") from reason
            continue
        steps.append(Step(kernel.name, tile_of(kernel.name), kernel.threads, turn.steps, turn.guessed, counts.of_turn(turn),
                          _period(kernel, turn) if simulate else None))
    narrowed = _narrowed(cubin, [step.name for step in steps], done.stdout)
    for step in steps:
        step.counted["narrowed"] = narrowed[step.name]
    return File(cubin, parsed.compiler, parsed.architecture, steps)
