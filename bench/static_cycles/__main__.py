# SPDX-License-Identifier: Apache-2.0
"""Clocks of a step of the resident kernels, from their machine code. README.md beside this file."""
import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from static_cycles import bounds, kernels, path, simulator  # noqa: E402  # pylint: disable=wrong-import-position

SKIPPED = 77


def parse(arguments):
    parser = argparse.ArgumentParser(prog="static_cycles", description=__doc__.splitlines()[0])
    parser.add_argument("cubin", nargs="*", help="cubins; without any those that ctest leaves in the build's folder")
    parser.add_argument("--build", default=os.path.join(kernels.ROOT, "build-emulated"), help="a build (build-emulated)")
    parser.add_argument("--match", default="", metavar="TEXT", help="only kernels whose mangled name or tile has TEXT")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    parser.add_argument("--check", action="store_true", help="compare with the table of bounds")
    parser.add_argument("--write-bounds", action="store_true", help="write the table, or its rows of the given cubins")
    parser.add_argument("--bounds", default=bounds.FILE, metavar="FILE", help="the table")
    return parser, parser.parse_args(arguments)


def read_all(cubins, options, nvdisasm):
    """(compiler, steps), each kernel once: several files may hold the same."""
    table = options.check or options.write_bounds

    def wanted(name):
        tile = kernels.tile_of(name)
        label = " ".join(map(str, tile.values())) if tile else name
        return (tile or not table) and (options.match in name or options.match in label)

    compilers, steps = set(), {}
    for cubin in cubins:
        file = kernels.read(cubin, nvdisasm, wanted, simulate=not table)
        if file.steps:
            compilers.add(file.compiler)
        for step in file.steps:
            steps.setdefault(step.name, step)
    if len(compilers) > 1:
        raise ValueError(f"the cubins are of several compilers: {', '.join(sorted(map(str, compilers)))}")
    return next(iter(compilers), None), list(steps.values())


def report(steps):
    lines = ["Constants of the simulated period, in clocks (simulator.py has their sources): " +
             ", ".join(f"{name} {value:g}" for name, value in simulator.CONSTANTS.items())]
    for step in steps:
        counted = step.counted
        lines += ["", f"{step.label}: {step.threads} threads" +
                  (f", {step.steps} steps a turn" if step.steps > 1 else "") +
                  (f", {step.guessed} branches by the work behind them" if step.guessed else ""),
                  f"  instructions {counted['instructions']:g}, stalls {counted['stalls']:g}, simulated period "
                  f"{step.period:.0f} clocks, loads waited on in their own step {counted['loads_waited']:g} in "
                  f"{counted['load_rounds']:g} rounds",
                  "  " + ", ".join(f"{name} {bounds.text_of(counted[name]) or '?'}" for name in bounds.COUNTS[4:]),
                  "  instructions/stalls: " + ", ".join(f"{name} {of['instructions']:g}/{of['stalls']:g}"
                                                        for name, of in counted["by_class"].items())]
    return "\n".join(lines)


def as_json(compiler, steps):
    return json.dumps({"note": "from machine code; the period is simulated, nothing was measured on a GPU",
                       "compiler": compiler, "constants": simulator.CONSTANTS,
                       "kernels": [{"name": step.name, "tile": step.tile, "threads": step.threads,
                                    "steps_of_a_turn": step.steps, "guessed_branches": step.guessed,
                                    "period": step.period, **step.counted} for step in steps]}, indent=1)


def check(compiler, steps, options):
    expected_compiler, expected = bounds.read(options.bounds)
    if compiler != expected_compiler:
        print(f"static_cycles: the machine code is of nvcc {compiler}, the table of {expected_compiler}: not compared")
        return SKIPPED
    whole = not options.cubin and not options.match
    lines = bounds.differences(expected, dict(map(bounds.row_of, steps)), whole)
    print("\n".join(lines + [f"static_cycles: {len(steps)} kernels, {len(lines)} differences from {options.bounds}"]))
    if lines:
        print("If they are meant, python3 bench/static_cycles --write-bounds writes the table anew.")
    return 1 if lines else 0


def write(compiler, steps, options):
    rows = dict(map(bounds.row_of, steps))
    if options.cubin or options.match:
        expected_compiler, others = bounds.read(options.bounds)
        if compiler != expected_compiler:
            raise ValueError(f"the machine code is of nvcc {compiler}, the table of {expected_compiler}")
        rows = {**others, **rows}
    bounds.write(compiler, rows, options.bounds)
    print(f"static_cycles: {len(steps)} rows written to {options.bounds}")
    return 0


def main(arguments=None):
    parser, options = parse(arguments)
    nvdisasm = kernels.find_nvdisasm()
    if nvdisasm is None:
        print("static_cycles: no nvdisasm here (pip install nvidia-cuda-nvdisasm): the machine code was not looked at")
        return SKIPPED
    cubins = options.cubin or kernels.cubins_of_build(options.build)
    if not cubins:
        parser.error(f"{options.build} has no kernel_resources/*.cubin: ctest's kernel_resources makes them with nvcc")
    missing = [cubin for cubin in cubins if not os.path.exists(cubin)]
    if missing:
        parser.error(f"there is no file {missing[0]}")
    try:
        compiler, steps = read_all(cubins, options, nvdisasm)
        if options.check:
            return check(compiler, steps, options)
        if options.write_bounds:
            return write(compiler, steps, options)
        print(as_json(compiler, steps) if options.json else report(steps))
        return 0
    except (ValueError, path.NoTimeLoop, OSError) as error:
        print(f"static_cycles: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
