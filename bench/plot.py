#!/usr/bin/python3
"""Draws the JSON files of varlstm-bench --lstm --mode=p and of its peers, one figure for each pass and dtype, as PNG and SVG.

  step_time_PASS_DTYPE  time of a step against H (at the B with the most points) and against B (at such an H), with the floor
                        that the ceilings of the same run allow
  speedup_PASS_DTYPE    how many times as fast varlstm is as each peer, against the skew of lengths: padded tokens / tokens

  /usr/bin/python3 bench/plot.py --out=figures ours.json torch.json      (Debian's python3-matplotlib)

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import collections
import json
import os
import sys

try:
    import matplotlib
except ModuleNotFoundError:
    sys.exit("plot.py needs matplotlib: apt-get install python3-matplotlib, or pip install matplotlib")

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402  the back end comes first
import matplotlib.ticker  # noqa: E402

OURS = "varlstm"
MARKERS = "osD^vP*X<>hd"


def series_of(row):
    """Name of the line that a row belongs to."""
    if row["implementation"] != OURS:
        return row["implementation"]
    extra = [row["layout"]] if row["layout"] != "packed" else []
    extra += [row["policy"]] if row["policy"] != "auto" else []
    return " ".join([OURS] + extra)


def load(paths, cache, cell):
    """Timed rows of one cell, layer and direction with I = H, and what the files say of their machines. A row that names no
    cell is of an LSTM."""
    rows, machines = [], []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        about = report["about"]
        machines.append(f"{about['library'].split(',')[0]}: {about['device']}, {about['clock']}, {about['date'][:10]}")
        rows += [row for row in report["results"]
                 if "performance" in row and row["cache"] == cache and row.get("cell", "lstm") == cell
                 and row["input"] == row["hidden"] and row["layers"] == row["directions"] == 1]
    return rows, machines


def most_common(values):
    counts = collections.Counter(values)
    return max(sorted(counts), key=lambda value: counts[value])


class Styles:
    """The same colour and marker for a series in every figure."""

    def __init__(self, names):
        peers = sorted(name for name in names if not name.startswith(OURS))
        self.order = sorted(name for name in names if name.startswith(OURS)) + peers

    def of(self, name):
        index = self.order.index(name)
        return {"color": f"C{index % 10}", "marker": MARKERS[index % len(MARKERS)], "markersize": 5, "label": name,
                "linewidth": 2 if name.startswith(OURS) else 1.2}


def step_time_panel(axes, rows, axis, other, styles):
    """Step time against `axis`, at the most common value of `other` and the most common lengths."""
    lens = most_common(row["lens"] for row in rows)
    rows = [row for row in rows if row["lens"] == lens]
    # The value of the other axis that leaves the most points on this one.
    at = max(sorted({row[other] for row in rows}), key=lambda value: len({row[axis] for row in rows if row[other] == value}))
    rows = [row for row in rows if row[other] == at]
    for name in styles.order:
        points = sorted((row[axis], row["performance"]["us_per_step"]) for row in rows if series_of(row) == name)
        if points:
            axes.plot(*zip(*points), **styles.of(name))
    floor = sorted({(row[axis], 1e3 * row["performance"]["floor_ms"] / row["steps"]) for row in rows
                    if row["implementation"] == OURS and row["performance"].get("floor_ms", 0) > 0})
    if floor:
        axes.plot(*zip(*floor), color="black", linestyle="--", linewidth=1, label="floor: bytes or operations at the ceilings")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    values = sorted({row[axis] for row in rows})
    axes.set_xticks(values, [str(value) for value in values])
    axes.minorticks_off()
    axes.set_xlabel("H" if axis == "hidden" else "B")
    axes.set_ylabel("µs a step")
    axes.set_title(f"{'B' if axis == 'hidden' else 'H'} = {at}, lengths {lens}", fontsize=10)
    axes.grid(True, alpha=0.3)


def speedup_panel(axes, rows, styles):
    """Each peer's time by ours of the same problem and lengths."""
    key = lambda row: (row["problem"], row["lens"], row["seed"])
    ours = {key(row): row for row in rows if series_of(row) == OURS}
    for name in styles.order:
        pairs = [(row, ours[key(row)]) for row in rows if series_of(row) == name and key(row) in ours]
        if name == OURS or not pairs:
            continue
        points = sorted((row["padded_tokens"] / row["tokens"], row["performance"]["ms"] / mine["performance"]["ms"])
                        for row, mine in pairs)
        axes.plot(*zip(*points), **{**styles.of(name), "linestyle": "none", "label": f"over {name}"})
    axes.axhline(1, color="black", linewidth=1, linestyle="--")
    axes.set_yscale("log")
    axes.set_xlabel("skew: padded tokens / tokens")
    axes.set_ylabel("times as fast")
    axes.grid(True, which="both", alpha=0.3)


def save(figure, machines, title, path):
    handles = {}
    for axes in figure.axes:
        axes.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        handles.update(zip(*reversed(axes.get_legend_handles_labels())))
    figure.suptitle(title, fontsize=12)
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncol=3, fontsize=8, frameon=False,
                  bbox_to_anchor=(0.5, 0.06))
    figure.text(0.5, 0.01, "; ".join(machines), ha="center", fontsize=7, color="gray")
    rows = -(-len(handles) // 3)
    figure.tight_layout(rect=(0, 0.08 + 0.04 * rows, 1, 0.98))
    for suffix in ("png", "svg"):
        figure.savefig(f"{path}.{suffix}", dpi=150)
        print(f"{path}.{suffix}")
    plt.close(figure)


def draw(rows, machines, out, styles, pass_name, dtype):
    label = f"LSTM {pass_name}, {dtype}, one layer, I = H"
    figure, panels = plt.subplots(1, 2, figsize=(11, 5.5), sharey=True)
    step_time_panel(panels[0], rows, "hidden", "batch", styles)
    step_time_panel(panels[1], rows, "batch", "hidden", styles)
    panels[1].set_ylabel("")
    save(figure, machines, f"{label}: time of a step", os.path.join(out, f"step_time_{pass_name}_{dtype}"))
    if any(row["implementation"] != OURS for row in rows):
        figure, axes = plt.subplots(figsize=(7, 5.5))
        speedup_panel(axes, rows, styles)
        save(figure, machines, f"{label}: varlstm against its peers", os.path.join(out, f"speedup_{pass_name}_{dtype}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=".", help="folder for the figures")
    parser.add_argument("--cache", choices=("warm", "cold"), default="warm")
    parser.add_argument("--cell", default="lstm", help="as varlstm-bench's")
    parser.add_argument("files", nargs="*", help="JSON of varlstm-bench --lstm or of bench/peers/torch_cuda.py")
    options = parser.parse_args()
    if not options.files:  # seen after options that are not known, one of which may be a misspelt one
        parser.error("no file is given")
    rows, machines = load(options.files, options.cache, options.cell)
    if not rows:
        sys.exit("plot.py: the files hold no time of a problem with one layer, one direction and I = H")
    os.makedirs(options.out, exist_ok=True)
    styles = Styles({series_of(row) for row in rows})
    for pass_name, dtype in sorted({(row["dir"], row["dtype"]) for row in rows}):
        group = [row for row in rows if (row["dir"], row["dtype"]) == (pass_name, dtype)]
        draw(group, machines, options.out, styles, pass_name, dtype)


if __name__ == "__main__":
    main()
