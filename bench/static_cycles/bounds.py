# SPDX-License-Identifier: Apache-2.0
"""The table of bounds: kernels/recurrence/resident/bounds.csv, a row for each kernel of a tile.

The first line names the compiler, because the counts are exactly its own: those of another one are not compared. The
columns of kernels.KEY name a tile and what it is for, the others what is counted of one step of a warp.
"""
import csv
import io
import os

from static_cycles.kernels import KEY, ROOT

FILE = os.path.join(ROOT, "kernels", "recurrence", "resident", "bounds.csv")
COUNTS = ("instructions", "stalls", "loads_waited", "load_rounds", "mma", "mufu", "bar", "membar", "cctl", "shfl", "f2f",
          "ldc", "local", "branches", "loads", "stores", "narrowed")
ORDER = {"cluster": 0, "grid": 1, "wide": 2, "wide_stepwise": 3, "lstm": 0, "gru": 1, "rnn": 2, "bf16": 0, "f16": 1, "tf32": 2,
         "f32": 3, "forward": 0, "backward": 1, "layers": 2}


def text_of(value):
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def row_of(step):
    """The row of a step as texts: (key, counts)."""
    return (tuple(str(step.tile[name]) for name in KEY), tuple(text_of(step.counted[name]) for name in COUNTS))


def place(key):
    """Where a row stands in the table."""
    named = dict(zip(KEY, key))
    return (*(ORDER.get(named[name], 9) for name in ("cell", "policy", "math")), int(named["H"]), int(named["slots"]),
            ORDER.get(named["pass"], 9), key)


def read(path=FILE):
    """(compiler, {key: counts}) as texts."""
    with open(path, encoding="utf-8") as file:
        head, *lines = file.read().splitlines()
    compiler = head.split("nvcc ")[1].split(",")[0]
    rows = csv.reader(lines[1:])
    return compiler, {tuple(row[:len(KEY)]): tuple(row[len(KEY):]) for row in rows}


def numbers(path=FILE):
    """[{column: number or text}] for whoever computes with them."""
    def value(text):
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    _, rows = read(path)
    return [dict(zip((*KEY, *COUNTS), map(value, (*key, *counts)))) for key, counts in rows.items()]


def write(compiler, rows, path=FILE):
    out = io.StringIO()
    out.write(f"# Of a step of a warp, by nvcc {compiler}, sm_90a. bench/static_cycles --write-bounds writes this file; "
              "its README says what the columns are\n")
    table = csv.writer(out, lineterminator="\n")
    table.writerow((*KEY, *COUNTS))
    for key in sorted(rows, key=place):
        table.writerow((*key, *rows[key]))
    with open(path, "w", encoding="utf-8") as file:
        file.write(out.getvalue())


def differences(expected, found, whole):
    """Lines on what found has otherwise than expected. whole: found has every kernel."""
    lines = []
    for key in sorted({*expected, *found}, key=place):
        label = " ".join(key)
        if key not in found:
            lines += [f"{label}: there is no such kernel any more"] if whole else []
        elif key not in expected:
            lines.append(f"{label}: the table has no such row")
        else:
            lines += [f"{label}: {name} {now or 'unknown'}, in the table {was or 'unknown'}"
                      for name, was, now in zip(COUNTS, expected[key], found[key]) if was != now]
    return lines
