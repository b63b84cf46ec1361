#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants defects one at a time in a copy of the tree and says whether the tests notice them.

    python3 tests/planted/plant.py --list
    python3 tests/planted/plant.py --area host --work /tmp/planted --json planted.json
    python3 tests/planted/plant.py --only 'gemm-*'
    python3 tests/planted/plant.py --check build-emulated

The lists of defects stand beside this file, one an area (host.py, capi.py, ...); defect.py says what an entry holds.
The checkout itself is never changed: defects are planted in a copy below the folder of --work, or below a temporary
folder that is removed at the end. A build of the copy is configured there with --preset; what the selected tests need is
built once, then each defect costs what ninja builds again of it. A folder given by --work keeps the copy and its build, so
that the next run starts where this one ended; with ccache on the machine, its cache is used as well.

A defect is found if one of its tests fails or runs into its time limit. It survives if they all pass. The exit status is
0 if every defect was found, or survived as its entry's no_defect says; 1 if not; 2 if nothing could be tried.

--check FOLDER plants nothing: it looks whether each entry still fits the tree, and whether the tests that it names are
there in that build folder. The ctest entry planted.current does so.
"""
import argparse
import fnmatch
import json
import os
import sys
import time

import tree
from catalogue import AREAS, Mistake, load
from check import check
from run import Build, clock


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the selected defects and end")
    parser.add_argument("--area", action="append", default=[], help="only the defects of this list; may be repeated")
    parser.add_argument("--only", action="append", default=[], metavar="GLOB",
                        help="only defects whose name matches; may be repeated")
    parser.add_argument("--work", metavar="FOLDER", help="keep the copy of the tree and its build here")
    parser.add_argument("--preset", default="emulated", help="the preset of the copy's build (default: emulated)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="jobs of a build (default: one a processor)")
    parser.add_argument("--json", metavar="FILE", help="write the results there")
    parser.add_argument("--check", metavar="FOLDER", help="check the entries against this tree and its build folder")
    return parser.parse_args()


def select(defects, areas, globs):
    """The defects of those areas (all where there is none) whose name matches one of the globs (any where none)."""
    for area in areas:
        if area not in AREAS:
            raise Mistake(f"--area {area}: the lists are {', '.join(AREAS)}")
    chosen = [(area, defect) for area, defect in defects if not areas or area in areas]
    for glob in globs:
        if not any(fnmatch.fnmatchcase(defect.name, glob) for _, defect in chosen):
            raise Mistake(f"--only {glob}: no defect has such a name")
    return [(area, defect) for area, defect in chosen
            if not globs or any(fnmatch.fnmatchcase(defect.name, glob) for glob in globs)]


def try_defect(build, defect):
    """(result, detail) of one defect, whose changes are undone afterwards."""
    with tree.planted(build.source, defect):
        if not build.make(defect.tests):
            return "did not build", build.last_output()
        for test in defect.tests:
            failure = build.failure_of(test)
            if failure:
                return "found", f"{test}: {failure}"
    return "survived", ""


def run(selected, build, json_file):
    """Tries all selected defects; returns the exit status."""
    build.prepare([test for _, defect in selected for test in defect.tests])
    results = []
    for number, (area, defect) in enumerate(selected, 1):
        start = time.monotonic()
        result, detail = try_defect(build, defect)
        good = result == ("survived" if defect.no_defect else "found")
        results.append({"area": area, "name": defect.name, "file": defect.file, "result": result, "detail": detail,
                        "no_defect": defect.no_defect, "good": good, "seconds": round(time.monotonic() - start, 1)})
        note = f" ({defect.no_defect})" if defect.no_defect else ""
        print(f"{clock()} {number}/{len(selected)} {area} {defect.name}: {result}{note}"
              f"{': ' + detail.splitlines()[0] if detail else ''}", flush=True)
        if json_file:
            with open(json_file, "w", encoding="utf-8") as out:
                json.dump(results, out, indent=1)
                out.write("\n")
    return summarize(results)


def summarize(results):
    """Prints the table of results by area; 0 if all are as they should be."""
    columns = ("found", "survived", "did not build")
    print(f"\n{'area':<10}{'defects':>9}" + "".join(f"{column:>15}" for column in columns))
    areas = sorted({result["area"] for result in results})
    for area in areas + ["all"]:
        rows = [result for result in results if area in ("all", result["area"])]
        counts = [sum(row["result"] == column for row in rows) for column in columns]
        print(f"{area:<10}{len(rows):>9}" + "".join(f"{count:>15}" for count in counts))
    bad = [result for result in results if not result["good"]]
    for result in bad:
        reason = " although it is marked as no defect" if result["no_defect"] else ""
        print(f"{result['area']} {result['name']} ({result['file']}): {result['result']}{reason}")
    return 1 if bad else 0


def main():
    arguments = parse_arguments()
    try:
        defects = load(tree.LISTS)
        if arguments.check:
            return check(defects, arguments.check)
        selected = select(defects, arguments.area, arguments.only)
        if arguments.list:
            for area, defect in selected:
                print(f"{area:<9}{defect.name:<40}{defect.file}")
            print(f"{len(selected)} defects")
            return 0
        if not selected:
            raise Mistake("the selected lists are empty")
        with tree.scratch(arguments.work) as source:
            return run(selected, Build(source, arguments.preset, arguments.jobs), arguments.json)
    except Mistake as mistake:
        print(f"plant.py: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("plant.py: interrupted; the checkout was not touched", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
