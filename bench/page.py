#!/usr/bin/env python3
"""Writes results/README.md, the page of figures, from the JSON files beside it.

    python3 bench/page.py                       writes the page anew
    python3 bench/page.py --ask                 the same, after pip was asked for the newest versions of the peers
    python3 bench/page.py --run layer resets    the same, after these comparisons have run here: minutes to an hour each,
                                                with the peers' newest versions; wants a quiet machine
    python3 bench/page.py --check               writes nothing; status 1 if a measured table is older than its file

bench/model.py writes the page, too, with its new report.

Every figure of the page is in one of those files, which names its machine, its commit and the versions of the peers.
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import datetime
import glob
import json
import math
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(HERE, "results")
PAGE = os.path.join(RESULTS, "README.md")
NEWEST = os.path.join(RESULTS, "peers.json")
# Each comparison: how its files end, and the command that measures it. {prefix} is the machine's name.
COMPARISONS = {
    "layer": ("rnn", "bench/peers/rnn_cpu.py --out bench/results/cpu"),
    "tagger": ("tagger", "bench/peers/tagger_cpu.py --threads 1 2 --out bench/results/cpu/{prefix}-tagger"),
    "accuracy": ("tagger-accuracy",
                 "bench/peers/tagger_cpu.py --accuracy 1 2 3 --out bench/results/cpu/{prefix}-tagger-accuracy"),
    "characters": ("char-cnn", "bench/peers/char_cnn_cpu.py --out bench/results/cpu/{prefix}-char-cnn"),
    "resets": ("resets", "bench/peers/resets_cpu.py --out bench/results/cpu/{prefix}-resets"),
}
PEERS = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}  # as pip and the files call them, and the page
GPU, GPU_TITLE = "modelled, not measured on a GPU", "## A GPU: modelled"


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def files_of(comparison):
    """The files of that comparison, a machine each."""
    ending = COMPARISONS[comparison][0]
    others = tuple(f"-{other}.json" for other, _ in COMPARISONS.values() if other != ending and other.endswith(ending))
    return [path for path in sorted(glob.glob(os.path.join(RESULTS, "cpu", f"*-{ending}.json")))
            if not (others and path.endswith(others))]


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "| " + " | ".join("---" if k == 0 else "---:" for k in range(len(head))) + " |",
            *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def about(comparison, path, report):
    """Where a table is from: machine, versions, commit, the program and the page with every figure of it."""
    peers = ", ".join(f"{name} {report[key]}" for key, name in PEERS.items() if key in report)
    program = COMPARISONS[comparison][1].split()[0]
    every = os.path.relpath(path, RESULTS).replace(".json", ".md")
    return [f"{report['machine']}; {peers}; {report['varlstm']}; commit {report['commit']}; {report['date']}; by "
            f"`{program}`; [every figure]({every}).", ""]


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def of_layers(report):
    """Rows of a table of means, and the shapes at which a peer is faster."""
    groups, losses = {}, []
    for row in report["rows"]:
        groups.setdefault((row["cell"], row["pass"]), []).append(row)
        for key, ours in (("ratio", "the C ABI"), ("ratio_of_torch", "`varlstm.torch`")):
            if row[key] < 1:
                peer = row["peer"] if key == "ratio" else "torch"
                losses.append(f"{row['cell']} {row['pass']}, H = {row['H']}, {row['lengths']}, "
                              f"{row['directions']} direction{'s' * (row['directions'] > 1)}: {ours} {row[key]:.2f} of {peer}")
    rows = [(f"{cell}, {name}", len(some), f"{mean([row['ratio'] for row in some]):.2f}",
             f"{min(row['ratio'] for row in some):.2f}", f"{mean([row['ratio_of_torch'] for row in some]):.2f}",
             f"{min(row['ratio_of_torch'] for row in some):.2f}") for (cell, name), some in groups.items()]
    return rows, losses


def layers():
    lines = ["## A recurrent layer on a CPU", "",
             "Times as fast as the fastest of PyTorch (packed, padded) and ONNX Runtime (forward alone), and as PyTorch's module "
             "for `varlstm.torch`; geometric means over the shapes, and the least.", ""]
    for path in files_of("layer"):
        report = read(path)
        rows, losses = of_layers(report)
        lines += table(("cell, pass", "shapes", "C ABI, mean", "least", "varlstm.torch, mean", "least"), rows)
        lines += ["Slower than a peer:" if losses else "Nowhere slower than a peer.", ""]
        lines += [f"- {loss}" for loss in losses] + [""] * bool(losses) + about("layer", path, report)
    return lines


def tagger():
    lines = ["## The tagger on a CPU", "", "Tokens a second, against the same network in PyTorch, by the clock.", ""]
    for path in files_of("tagger"):
        report = read(path)
        rate = [row["wall"]["tokens_per_s"] for row in report["rows"]]
        lines += table(("network, pass", "threads", "ours", "torch, the better", "times"),
                       [(f"{row['network']}, {row.get('pass', 'train')}", row["threads"], f"{some['ours']:,.0f}", f"{max(some['padded'], some['joined']):,.0f}",
                         f"{min(row['wall']['padded'], row['wall']['joined']):.2f}") for row, some in zip(report["rows"], rate)])
        lines += about("tagger", path, report)
    lines += ["Accuracy on the dev file, the best epoch of each seed, mean:", ""]
    for path in files_of("accuracy"):
        report = read(path)

        def best(seeds):
            return f"{sum(max(seed) for seed in seeds) / len(seeds):.4f}"
        lines += table(("network", "epochs", "seeds", "ours", "torch"),
                       [(row["network"], row["epochs"], len(row["seeds"]), best(row["ours"]), best(row["torch"]))
                        for row in report["rows"]]) + about("accuracy", path, report)
    return lines


def others():
    lines = ["## Characters and resets on a CPU", "", "Convolution with maximum over the characters of words, milliseconds:", ""]
    for path in files_of("characters"):
        report = read(path)
        lines += table(("words in a batch", "threads", *report["rows"][0]["ms"]),
                       [(row["batch"], row["threads"], *(f"{ms:.0f}" for ms in row["ms"].values())) for row in report["rows"]])
        lines += about("characters", path, report)
    lines += ["Rollouts with resets inside sequences, milliseconds:", ""]
    for path in files_of("resets"):
        report = read(path)
        lines += table(("cell, pass", *report["rows"][0]["ms"]),
                       [(f"{row['cell']}, {row['pass']}", *(f"{ms:.1f}" for ms in row["ms"].values()))
                        for row in report["rows"]]) + about("resets", path, report)
    return lines


def gpu():
    report = read(os.path.join(RESULTS, "modelled", "h200.json"))
    rows = [(row["H"], row["B"], row["selected"], f"{row['policies'][row['selected']]['total']:.0f}", f"{row['floor']:.0f}")
            for row in report["training"] if (row["dtype"], row["lens"]) == ("bf16", "ewt")]
    return [GPU_TITLE, "", f"**An H200, {GPU}.** No peer ran, so none is compared. A training step of one LSTM layer "
            "in BF16 over lengths of English sentences, in µs, and the floor that the model knows.", "",
            *table(("H", "B", "policy", f"step ({GPU})", f"floor ({GPU})"), rows),
            "By `bench/model.py`; [how, and every figure](modelled/h200.md).", ""]


def versions():
    newest, users = read(NEWEST), {}
    for comparison in COMPARISONS:
        for path in files_of(comparison):
            report = read(path)
            for key in PEERS.keys() & report.keys():
                users.setdefault((key, report[key]), []).append(comparison)
    rows = [(PEERS[key], version, ", ".join(dict.fromkeys(comparisons)), newest["newest"][key])
            for (key, version), comparisons in sorted(users.items())]
    return ["## The peers' versions", "",
            *table(("peer", "measured with", "in the comparison", f"newest on {newest['date']}"), rows),
            "By `pip index versions`.", ""]


def page():
    lines = ["# Figures", "", "Written by `python3 bench/page.py` from the files beside it, not by hand. No number here was "
             "measured on a GPU. Each table", "says on which machine, at which commit and by which program it was measured; its page "
             "with every figure says how. [cpu/](cpu/)", "also has comparisons that are not on this page.", "", *layers(), *tagger(), *others(), *versions(), *gpu()]
    return "\n".join(lines).rstrip() + "\n"


def write():
    text = page()
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)


def measured(text):
    """The page without its modelled end, which bench/model.py keeps up to date."""
    return text[:text.index(GPU_TITLE)]


def ask():
    """Asks pip for the newest versions of the peers."""
    newest = {}
    for name in PEERS:
        said = subprocess.run([sys.executable, "-m", "pip", "index", "versions", name], capture_output=True, text=True, check=False)
        found = re.match(rf"{name} \((.+?)\)", said.stdout)
        if not found:
            sys.exit(f"page.py: pip names no version of {name}: {said.stderr.strip()}")
        newest[name] = found.group(1)
    with open(NEWEST, "w", encoding="utf-8") as file:
        json.dump({"date": datetime.date.today().isoformat(), "newest": newest}, file, indent=1)
        file.write("\n")


def run(comparisons):
    sys.path.insert(0, os.path.join(HERE, "peers"))
    import measure  # imports torch
    for comparison in comparisons:
        command = COMPARISONS[comparison][1].format(prefix=measure.machine()[1])
        print(f"$ python3 {command}", flush=True)
        if subprocess.run([sys.executable, *command.split()], cwd=os.path.dirname(HERE), check=False).returncode != 0:
            sys.exit(f"page.py: {comparison} ended with an error, so the page was not written. What it has measured all the "
                     "same is in bench/results/cpu; without --run the page takes it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ask", action="store_true", help="ask pip for the peers' newest versions first")
    parser.add_argument("--run", nargs="+", choices=COMPARISONS, default=[], help="run these comparisons first")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    if options.check:
        with open(PAGE, encoding="utf-8") as file:
            if measured(file.read()) != measured(page()):
                sys.exit("page.py: bench/results/README.md is older than its files: python3 bench/page.py writes it")
        return
    if options.run:
        run(options.run)
    if options.ask:
        ask()
    write()


if __name__ == "__main__":
    main()
