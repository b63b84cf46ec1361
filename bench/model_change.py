#!/usr/bin/env python3
"""What a change of the kernels makes of the modelled times: two reports of bench/model.py beside each other, in Markdown.

    git show COMMIT:bench/results/modelled/h200.json >before.json
    python3 bench/model_change.py before.json bench/results/modelled/h200.json >bench/results/modelled/change.md

A time is that of the policy which the selection of its commit takes. Both reports must be of the same model: what has
changed is then the kernels, their tiles and the selection.

SPDX-License-Identifier: Apache-2.0
"""
import json
import sys


def training_steps(report):
    return {(row["dtype"], row["lens"], row["H"], row["B"]): (row["selected"], row["policies"][row["selected"]]["total"])
            for row in report["training"]}


def steps(report):
    """Of each (mode, dtype, H, B) the fastest policy, or «wide» for wide teams in its place, and its time."""
    best = {}
    for row in report["steps"]:
        key = (row["mode"], row["dtype"], row["H"], row["B"])
        if row["step"] is not None and (key not in best or row["step"]["us"] < best[key][1]):
            best[key] = (row["policy"], row["step"]["us"])
    for row in report.get("wide_steps", ()):
        way = row.get("way", "forward")
        key = (way.split("_")[0], "tf32" if way.endswith("tf32") else "bf16", row["H"], row["B"])
        if row["step"] is not None and row["step"]["us"] < best[key][1]:
            best[key] = ("wide", row["step"]["us"])
    for row in report.get("streamed_steps", ()):
        key = (row["mode"], row["dtype"], row["H"], row["B"])
        policy = "grid" if row["dtype"] == "bf16" or row["H"] == 1024 else "stepwise"
        if row["step"] and key in best and best[key][0] == policy and row["step"]["us"] < best[key][1]:
            best[key] = ("streamed", row["step"]["us"])
    return best


def table(before, now, columns, digits):
    lines = ["| " + " | ".join(columns) + " | before | now | times |", "| --- " * len(columns) + "| ---: | ---: | ---: |"]
    for key, (policy, time) in now.items():
        was = f"{before[key][0]} {before[key][1]:.{digits}f}" if key in before else "—"
        times = f"{before[key][1] / time:.2f}" if key in before else "—"
        lines.append(f"| {' | '.join(map(str, key))} | {was} | {policy} {time:.{digits}f} | {times} |")
    return "\n".join(lines)


def report(before, now):
    return "\n".join([
        "# Modelled times, before and now", "",
        "**Modelled, not measured on a GPU**; written by `bench/model_change.py`, which says how. Times in µs.", "",
        "## Training steps", "", "One layer, I = H, one direction, forward and backward with its GEMMs.", "",
        table(training_steps(before), training_steps(now), ("dtype", "lengths", "H", "B"), 0), "",
        "## A step", "", "The whole batch one step further, by the fastest policy, or by wide teams in the place of one.", "",
        table(steps(before), steps(now), ("mode", "dtype", "H", "B"), 2)])


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: model_change.py BEFORE.json NOW.json")
    reports = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    print(report(*reports))


if __name__ == "__main__":
    main()
