#!/usr/bin/env python3
"""Times one recurrent layer on this machine's CPU: this library by its C ABI and by varlstm.torch, PyTorch's module over
packed and over padded input, and ONNX Runtime with sequence_lens.

    pip install torch onnx onnxruntime numpy          # the newest ones
    python3 bench/peers/rnn_cpu.py                    # after sh tools/quickstart.sh
    python3 bench/peers/rnn_cpu.py --conllu FILE --directions 2 --steps 256

All see the same batches, weights and incoming gradients, and outputs and gradients are compared before anything is timed.
In every cell (cell, directions, H, lengths, pass) the sides take turns, each with 1 and with 2 threads; what counts is each
side's fastest measurement at its better number of threads: other work on the machine only ever adds time. Packing and
padding are not timed. A side begins when no thread of the one before it spins any more. Forward has its weights prepared
once, here as in ONNX Runtime; training has not. Rates are tokens a second. Lengths are B sentences of English text, or B = 1
and T tokens. `ratio` is the faster of our two ways over the fastest peer, `in torch` varlstm.torch over PyTorch's faster way.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import statistics
import sys
import time

import torch

import c_abi
import measure
import rnn_sides
from measure import BOTH, FORWARD


def compare(sides, work, where):
    """Everything that a side computes, relative to the largest value of PyTorch over packed input."""
    for k in range(len(work.lengths)):
        sides["torch packed"].set_threads(1)
        expected = sides["torch packed"].results(k)
        for name, side in sides.items():
            for threads in measure.THREADS:
                side.set_threads(threads)
                for what, actual in side.results(k).items():
                    error = ((expected[what] - actual).abs().max() / expected[what].abs().max()).item()
                    if not error <= measure.TOLERANCE:
                        sys.exit(f"rnn_cpu.py: {where}, batch {k}, {name}, {threads} threads: {what} differs by {error:.2e}")


def run_cell(library, rate, cell, directions, size, batches, label, seconds):
    torch.manual_seed(size + len(batches))
    module = getattr(torch.nn, cell)(size, size, bidirectional=directions == 2)
    work = rnn_sides.Work(batches, size, directions * size)
    sides = rnn_sides.make_sides(module, work, library)
    where = f"{cell}, {directions} directions, H = {size}, {label}"
    compare(sides, work, where)
    rate.measure()
    rows = []
    for mode in (FORWARD, BOTH):
        def all_batches(run):
            return lambda: [run(k) for k in range(len(batches))]

        runs = {name: all_batches(side.forward if mode == FORWARD else side.train) for name, side in sides.items()
                if mode == FORWARD or side.trains}
        measured = measure.time_in_turns(sides, runs, seconds)
        best = {name: measure.best_of(times) for name, times in measured.items()}
        gates = {"LSTM": 4, "GRU": 3}[cell]
        row = {"cell": cell, "directions": directions, "pass": mode, "H": size, "lengths": label, "tokens": work.tokens,
               "operations": work.tokens * directions * 4 * gates * size * size * (1 if mode == FORWARD else 3),
               "seconds": {name: seconds_ for name, (seconds_, _, _) in best.items()},
               "medians": {name: median for name, (_, _, median) in best.items()},
               "threads": {name: threads for name, (_, threads, _) in best.items()},
               "rounds": max(len(times) for times in measured["C ABI"].values())}
        ours = min(row["seconds"][name] for name in rnn_sides.OURS)
        row["peer"] = min((name for name in row["seconds"] if name not in rnn_sides.OURS), key=row["seconds"].get)
        row["ratio"] = row["seconds"][row["peer"]] / ours
        row["ratio_of_torch"] = (min(row["seconds"][name] for name in row["seconds"] if name.startswith("torch")) /
                                 row["seconds"]["varlstm.torch"])
        rows.append(row)
        print(f"{where}, {mode}: " + ", ".join(
            f"{name} {work.tokens / time_:,.0f} ({row['threads'][name]})" for name, time_ in row["seconds"].items()) +
            f" tokens/s; {row['ratio']:.2f} of {row['peer']}", flush=True)
    return rows


def summary(rows, rates):
    lines = []
    for cell in sorted({row["cell"] for row in rows}, reverse=True):
        for mode in (FORWARD, BOTH):
            of_mode = [row for row in rows if row["pass"] == mode and row["cell"] == cell]
            least = min(of_mode, key=lambda row: row["ratio"])
            lines.append(f"{cell}, {mode}: geometric mean {statistics.geometric_mean(row['ratio'] for row in of_mode):.2f}, "
                         f"minimum {least['ratio']:.2f} (H = {least['H']}, {least['lengths']}, {least['directions']} "
                         f"directions, against {least['peer']})")
    for threads, rate in rates.items():
        lines.append(f"Torch's product of 1536³ in the same run: {rate / 1e9:.0f} GFLOP/s with {threads} threads")
    return lines


def markdown(report):
    names = list(dict.fromkeys(name for row in report["rows"] for name in row["seconds"]))
    lines = ["# One recurrent layer on the CPU: this library, PyTorch and ONNX Runtime", "",
             f"{report['machine']}; torch {report['torch']}; ONNX Runtime {report['onnxruntime']}; {report['varlstm']}; commit "
             f"{report['commit']}; {report['date']}; load of the machine {report['load']:.1f}.",
             f"Sentences of {report['lengths']}. I = H, one layer, f32. Tokens a second, each side at its better number of "
             "threads (in brackets), fastest of the rounds, in turns. Share: of torch's product of 1536³ in the same run, with as "
             "many threads.", "",
             "| cell | directions | pass | H | lengths | " + " | ".join(names) + " | ratio | in torch | share |",
             "| --- | --- | --- | ---: | --- |" + " ---: |" * (len(names) + 3)]
    for row in report["rows"]:
        rates = " | ".join(f"{row['tokens'] / row['seconds'][name]:,.0f} ({row['threads'][name]})" if name in row["seconds"]
                           else "—" for name in names)
        ours = min(rnn_sides.OURS, key=row["seconds"].get)
        share = row["operations"] / row["seconds"][ours] / report["sgemm"][row["threads"][ours]]
        lines.append(f"| {row['cell']} | {row['directions']} | {row['pass']} | {row['H']} | {row['lengths']} | {rates} | "
                     f"{row['ratio']:.2f} | {row['ratio_of_torch']:.2f} | {share:.0%} |")
    return "\n".join(lines + [""] + [f"- {line}" for line in report["summary"]]) + "\n"


def parse_arguments():
    def numbers(text):
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", default="LSTM,GRU")
    parser.add_argument("--directions", type=numbers, default=[1, 2])
    parser.add_argument("--hidden", type=numbers, default=[128, 256, 512], help="H and I")
    parser.add_argument("--batch", type=numbers, default=[1, 16, 64], help="B, of sentences")
    parser.add_argument("--conllu", help="file with the sentences (default: UD English EWT's, or lengths like theirs)")
    parser.add_argument("--steps", type=numbers, default=[1, 16, 256], help="T, of one sequence")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each pass of each cell, at least three rounds")
    parser.add_argument("--out", default=os.path.join(measure.ROOT, "bench", "results", "cpu"),
                        help="folder; '' writes nothing")
    options = parser.parse_args()
    if options.conllu and not os.path.exists(options.conllu):
        parser.error(f"--conllu: {options.conllu} is missing")
    options.cells = options.cells.split(",")
    for cell in options.cells:
        if cell not in c_abi.CELLS:
            parser.error(f"--cells: {cell} is none of {', '.join(c_abi.CELLS)}")
    if not os.path.exists(measure.LIBRARY):
        parser.error(f"{measure.LIBRARY} is missing; build it first: sh tools/quickstart.sh")
    os.environ["VARLSTM_LIBRARY"] = measure.LIBRARY  # for varlstm.torch
    return options


def onnxruntime_version():
    if not rnn_sides.has_onnxruntime():
        return "is missing"
    import onnxruntime  # pylint: disable=import-outside-toplevel
    return onnxruntime.__version__


def main():
    options = parse_arguments()
    library, rate = c_abi.load(measure.LIBRARY), measure.SgemmRate()
    lengths, source = measure.sentence_lengths(options.conllu)
    name, slug = measure.machine()
    report = {"machine": name, "date": time.strftime("%Y-%m-%d"), "commit": measure.commit(), "torch": torch.__version__,
              "onnxruntime": onnxruntime_version(), "varlstm": library.varlstm_build_info().decode(), "lengths": source,
              "load": os.getloadavg()[0], "seconds": options.seconds}
    cases = [(f"B = {batch}", measure.draw_batches(lengths, batch)) for batch in options.batch]
    cases += [(f"B = 1, T = {steps}", [[steps]]) for steps in options.steps]
    with rnn_sides.prepared_weights():
        rows = [row for cell in options.cells for directions in options.directions for size in options.hidden
                for label, batches in cases
                for row in run_cell(library, rate, cell, directions, size, batches, label, options.seconds)]
    rows.sort(key=lambda row: (row["cell"] != "LSTM", row["directions"], row["pass"] != FORWARD))
    report.update(rows=rows, sgemm=rate.best, summary=summary(rows, rate.best))
    table = markdown(report)
    print("\n" + table)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        path = os.path.join(options.out, slug + "-rnn")
        with open(path + ".md", "w", encoding="utf-8") as file:
            file.write(table)
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        print(f"written: {path}.md and .json")


if __name__ == "__main__":
    main()
