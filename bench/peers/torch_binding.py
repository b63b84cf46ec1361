#!/usr/bin/python3
"""Times varlstm.torch.LSTM and torch.nn.LSTM side by side on this machine's CPU, as a program in PyTorch calls them.

Training: forward and backward with every gradient over packed batches of English sentence lengths, through autograd on
both sides; each with 1 and with 2 threads, in turns, and what counts is each side's fastest measurement at its best
number of threads. Calls: one token of one sequence through I = H = 8, with one thread: what a call costs beside its
arithmetic; the fastest of the rounds. Batches, rounds and the machine's name are torch_cpu.py's.

Run it with Debian's Python, which has Debian's torch: /usr/bin/python3 bench/peers/torch_binding.py
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import copy
import json
import os
import sys
import time

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import torch_cpu

sys.path.insert(0, os.path.join(torch_cpu.ROOT, "capi", "python"))

from varlstm._library import build_info  # noqa: E402
from varlstm.torch import replace_lstm  # noqa: E402

CALLS = 2000


class BindingSide(torch_cpu.TorchSide):
    """The torch side's calls, to this library's module with the same weights."""

    def __init__(self, theirs):
        self.blas, self.model = theirs.blas, replace_lstm(copy.deepcopy(theirs.model))


def compare(sides, packs, dys):
    """Outputs and every gradient of each batch, relative to the largest value."""
    for pack, dy in zip(packs, dys):
        results = []
        for side in sides.values():
            side.run([pack], [dy], torch_cpu.BOTH)
            results.append([side.model(pack)[0].data.detach(), pack.data.grad.clone()] +
                           [parameter.grad for parameter in side.model.parameters()])
        for expected, actual in zip(*results):
            error = ((expected - actual).abs().max() / expected.abs().max()).item()
            if not error <= torch_cpu.TOLERANCE:
                sys.exit(f"torch_binding.py: the two sides differ by {error:.2e}")


def time_training(blas, lengths, size, batch, seconds):
    torch.manual_seed(size + batch)
    batches = torch_cpu.draw_batches(lengths, batch)
    theirs = torch_cpu.TorchSide(blas, size)
    sides = {"torch": theirs, "varlstm": BindingSide(theirs)}
    packs = [pack_sequence([torch.randn(length, size) for length in lengths_of]) for lengths_of in batches]
    packs = [PackedSequence(pack.data.requires_grad_(), *pack[1:]) for pack in packs]
    dys = [torch.randn(pack.data.shape) for pack in packs]
    compare(sides, packs, dys)
    measured = torch_cpu.time_cell(sides, packs, dys, torch_cpu.BOTH, seconds)
    tokens = sum(map(sum, batches))
    row = {"H": size, "B": batch, "batches": len(batches), "tokens": tokens}
    for name in sides:
        best, row[f"{name}_threads"], median = torch_cpu.best_of(measured[name])
        row[f"{name}_tokens_per_s"], row[f"{name}_median_tokens_per_s"] = tokens / best, tokens / median
    row["ratio"] = row["varlstm_tokens_per_s"] / row["torch_tokens_per_s"]
    row["ratio_of_medians"] = row["varlstm_median_tokens_per_s"] / row["torch_median_tokens_per_s"]
    row["rounds"] = max(len(times) for times in measured["torch"].values())
    return row


def time_calls(blas, rounds):
    """µs of a call: {case: {side: µs}}, the sides in turns."""
    theirs = torch_cpu.TorchSide(blas, 8)
    sides = {"torch": theirs, "varlstm": BindingSide(theirs)}
    theirs.set_threads(1)
    x = torch.randn(1, 1, 8)
    packed = pack_padded_sequence(x, [1])
    dy = torch.ones(1, 1, 8)

    def inference(model):
        with torch.no_grad():
            model(x)

    cases = {"forward without gradients": inference, "forward that saves": lambda model: model(x),
             "packed forward that saves": lambda model: model(packed),
             "forward and backward": lambda model: model(x)[0].backward(dy)}
    best = {case: dict.fromkeys(sides, float("inf")) for case in cases}
    for _ in range(rounds):
        for case, call in cases.items():
            for name, side in sides.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    call(side.model)
                best[case][name] = min(best[case][name], (time.perf_counter() - start) / CALLS * 1e6)
    return best


def markdown(report):
    lines = ["# varlstm.torch.LSTM and nn.LSTM on the CPU", "",
             f"{report['machine']}; torch {report['torch']}; {report['varlstm']}; commit {report['commit']}; "
             f"{report['date']}. Lengths: {report['lengths']}. I = H, one layer, f32.", "",
             "| training step | torch tokens/s (threads) | varlstm.torch tokens/s (threads) | ratio | of medians |",
             "| --- | ---: | ---: | ---: | ---: |"]
    for row in report["training"]:
        lines.append(f"| H = {row['H']}, B = {row['B']} | {row['torch_tokens_per_s']:,.0f} ({row['torch_threads']}) | "
                     f"{row['varlstm_tokens_per_s']:,.0f} ({row['varlstm_threads']}) | {row['ratio']:.2f} | "
                     f"{row['ratio_of_medians']:.2f} |")
    lines += ["", "| call at B = 1, T = 1, H = 8 | torch µs | varlstm.torch µs |", "| --- | ---: | ---: |"]
    lines += [f"| {case} | {times['torch']:.1f} | {times['varlstm']:.1f} |" for case, times in report["calls"].items()]
    return "\n".join(lines)


def main():
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", type=numbers, default=[128], help="H and I")
    parser.add_argument("--batch", type=numbers, default=[64], help="B")
    parser.add_argument("--seconds", type=float, default=12.0, help="for each training cell, at least three rounds")
    parser.add_argument("--rounds", type=int, default=10, help=f"of {CALLS} calls")
    parser.add_argument("--json", help="file to write")
    options = parser.parse_args()
    blas = torch_cpu.Blas()
    lengths, source = torch_cpu.ewt_lengths()
    report = {"machine": torch_cpu.machine()[0], "date": time.strftime("%Y-%m-%d"), "commit": torch_cpu.commit(),
              "torch": torch.__version__, "varlstm": build_info(), "lengths": source,
              "training": [time_training(blas, lengths, size, batch, options.seconds)
                           for size in options.hidden for batch in options.batch],
              "calls": time_calls(blas, options.rounds)}
    print(markdown(report))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
