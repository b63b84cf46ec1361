#!/usr/bin/python3
"""Times rollouts with resets, on this machine's CPU with one thread: what a reset costs here, and at its peers.

A rollout is x [T, B, I] with flags [T, B], of which one in --every is set at random: there an episode begins and the
state is zero. Five ways take turns, each through autograd:

    ours without    varlstm.torch, no resets
    ours            varlstm.torch with resets
    torch without   torch.nn, no resets
    torch pieces    torch.nn on a PackedSequence of all pieces: the best that torch can do. Cutting the rollout into pieces,
                    sorting and packing them is not timed
    sb3-contrib     torch.nn step by step, the states multiplied by 1 - episode_start before each, as sb3-contrib's
                    _process_sequence has it

Outputs, last states and every gradient of the three ways with resets are compared before anything is timed. A round is one
measurement of each way. What counts is each way's least CPU time of the process, so that other programs on the machine
disturb it little. glibc is told to keep freed memory: with its defaults a block of more than 32 MiB is mapped anew in each
call, and whether a way's blocks are just above or just below that would decide. I = H, one layer, f32.

Run it with Debian's Python, which has Debian's torch: /usr/bin/python3 bench/peers/resets_cpu.py
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import statistics
import sys
import time

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}  # read when a process starts
if not KEEP_MEMORY.items() <= os.environ.items():
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch  # noqa: E402
from torch.nn.utils.rnn import pack_sequence  # noqa: E402

import measure  # noqa: E402

sys.path.insert(0, os.path.join(measure.ROOT, "capi", "python"))

from varlstm import torch as varlstm_torch  # noqa: E402
from varlstm._library import build_info  # noqa: E402

CELLS = {"lstm": (torch.nn.LSTM, varlstm_torch.LSTM), "gru": (torch.nn.GRU, varlstm_torch.GRU)}
WITH_RESETS = ("ours", "torch pieces", "sb3-contrib")
BAR = 1.05  # ours with resets in relation to ours without


class Rollout:
    """x, flags, initial states, and the gradient of y. `parts` are the pieces: (environment, first step, end)."""

    def __init__(self, steps, batch, size, every, count):
        self.x = torch.randn(steps, batch, size, requires_grad=True)
        self.resets = torch.rand(steps, batch) < 1 / every
        self.states = [torch.randn(1, batch, size, requires_grad=True) for _ in range(count)]
        self.dy = torch.randn(steps, batch, size)
        self.parts = []
        for b in range(batch):
            starts = [t for t in range(steps) if t == 0 or self.resets[t, b]] + [steps]
            self.parts += [(b, first, end) for first, end in zip(starts, starts[1:])]


def as_hx(states):
    return tuple(states) if len(states) > 1 else states[0]


def as_list(states):
    return list(states) if isinstance(states, tuple) else [states]


class Whole:
    """A module in one call over the rollout."""

    def __init__(self, module, rollout, **options):
        self.module, self.rollout, self.options = module, rollout, options
        self.leaves = [rollout.x, *rollout.states]

    def call(self):
        return self.module(self.rollout.x, as_hx(self.rollout.states), **self.options)

    def run(self, mode):
        """The output of the call."""
        if mode == measure.FORWARD:
            with torch.no_grad():
                return self.call()
        for tensor in (*self.leaves, *self.module.parameters()):
            tensor.grad = None
        output, states = self.call()
        self.backward(output)
        return output, states

    def backward(self, output):
        output.backward(self.rollout.dy)

    def results(self):
        """y [T, B, H], the last states, dx, the gradients of the initial states, and of the parameters."""
        output, states = self.run(measure.BOTH)
        return [output.detach(), *(state.detach() for state in as_list(states)), *(leaf.grad for leaf in self.leaves),
                *(parameter.grad for parameter in self.module.parameters())]


class Steps(Whole):
    def __init__(self, module, rollout):
        super().__init__(module, rollout)
        self.starts = rollout.resets.float()

    def call(self):
        states, outputs = self.rollout.states, []
        for step, start in zip(self.rollout.x, self.starts):
            keep = (1.0 - start).view(1, -1, 1)
            output, states = self.module(step.unsqueeze(0), as_hx([keep * state for state in states]))
            outputs.append(output)
            states = as_list(states)
        return torch.cat(outputs), as_hx(states)


class Pieces(Whole):
    """The pieces as sequences, packed beforehand."""

    def __init__(self, module, rollout):
        super().__init__(module, rollout)
        self.parts = sorted(rollout.parts, key=lambda part: part[1] - part[2])  # the longest first
        x = rollout.x.detach()
        packed = pack_sequence([x[first:end, b] for b, first, end in self.parts])
        self.packed = packed._replace(data=packed.data.requires_grad_())
        begins = torch.tensor([float(first == 0 and not rollout.resets[0, b]) for b, first, _ in self.parts])
        order = torch.tensor([b for b, _, _ in self.parts])
        self.states = [(state.detach()[:, order] * begins.view(1, -1, 1)).requires_grad_() for state in rollout.states]
        self.dy = pack_sequence([rollout.dy[first:end, b] for b, first, end in self.parts]).data
        self.leaves = [self.packed.data, *self.states]
        self.begins, self.order = begins, order

    def call(self):
        return self.module(self.packed, as_hx(self.states))

    def backward(self, output):
        output.data.backward(self.dy)

    def results(self):
        (output, states), rollout = self.run(measure.BOTH), self.rollout
        rows = torch.nn.utils.rnn.PackedSequence
        y, dx = torch.zeros_like(rollout.dy), torch.zeros_like(rollout.x)
        for of_rows, target in ((output.data.detach(), y), (self.packed.data.grad, dx)):
            padded, _ = torch.nn.utils.rnn.pad_packed_sequence(rows(of_rows, self.packed.batch_sizes))
            for k, (b, first, end) in enumerate(self.parts):
                target[first:end, b] = padded[:end - first, k]
        ends = [torch.zeros_like(state) for state in rollout.states]
        for k, (b, _, end) in enumerate(self.parts):
            if end == len(rollout.resets):
                for target, state in zip(ends, as_list(states)):
                    target[:, b] = state.detach()[:, k]
        initial = [torch.zeros_like(state).index_add(1, self.order, grad.grad * self.begins.view(1, -1, 1))
                   for state, grad in zip(rollout.states, self.states)]
        return [y, *ends, dx, *initial, *(parameter.grad for parameter in self.module.parameters())]


def compare(sides):
    """Everything that the ways with resets compute, relative to the largest value."""
    expected = [tensor.clone() for tensor in sides["sb3-contrib"].results()]
    for name in ("torch pieces", "ours"):
        for k, (theirs, other) in enumerate(zip(expected, sides[name].results())):
            error = ((theirs - other).abs().max() / theirs.abs().max()).item()
            if not error <= measure.TOLERANCE:
                sys.exit(f"resets_cpu.py: {name} and sb3-contrib differ by {error:.2e} in result {k}")
    if torch.allclose(sides["ours without"].results()[0], expected[0]):
        sys.exit("resets_cpu.py: the resets change nothing")


def time_ways(sides, mode, seconds):
    """Seconds of CPU of one run: {way: [measurements]}, in turns, after one round that is not counted. From the fifth
    round on a way that takes four times as long as the fastest one is left out."""
    measured = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 4 or time.perf_counter() < end:
        for name, side in sides.items():
            if rounds >= 4 and min(measured[name]) > 4 * min(map(min, measured.values())):
                continue
            start = time.process_time()
            side.run(mode)
            if rounds:
                measured[name].append(time.process_time() - start)
        rounds += 1
    return measured


def run_cell(cell, options):
    torch.manual_seed(1)
    theirs, ours = (make(options.hidden, options.hidden) for make in CELLS[cell])
    ours.load_state_dict(theirs.state_dict())
    rollout = Rollout(options.steps, options.batch, options.hidden, options.every, 2 if cell == "lstm" else 1)
    sides = {"ours without": Whole(ours, rollout), "ours": Whole(ours, rollout, resets=rollout.resets),
             "torch without": Whole(theirs, rollout), "torch pieces": Pieces(theirs, rollout),
             "sb3-contrib": Steps(theirs, rollout)}
    compare(sides)
    rows = []
    for mode in (measure.FORWARD, measure.BOTH):
        measured = time_ways(sides, mode, options.seconds)
        row = {"cell": cell, "pass": mode, "pieces": len(rollout.parts), "rounds": len(measured["ours"]),
               "longest_piece": max(end - first for _, first, end in rollout.parts),
               "ms": {name: 1e3 * min(times) for name, times in measured.items()},
               "median_ms": {name: 1e3 * statistics.median(times) for name, times in measured.items()}}
        row["cost_of_resets"] = row["ms"]["ours"] / row["ms"]["ours without"]
        row["cost_of_resets_by_medians"] = row["median_ms"]["ours"] / row["median_ms"]["ours without"]
        rows.append(row)
        print(f"{cell} {mode}: " + ", ".join(f"{name} {ms:.1f} ms" for name, ms in row["ms"].items()) +
              f"; with / without {row['cost_of_resets']:.3f}, of medians {row['cost_of_resets_by_medians']:.3f}", flush=True)
    return rows


def markdown(report):
    lines = ["# Resets inside sequences, on the CPU with one thread", "",
             f"{report['machine']}; torch {report['torch']}; {report['varlstm']}; commit {report['commit']}; "
             f"{report['date']}.",
             f"T = {report['T']}, B = {report['B']}, I = H = {report['H']}, one layer, f32, a reset every {report['every']} "
             "steps on average. Milliseconds of CPU, the least of the rounds, taken in turns, through autograd; in brackets "
             "what each way takes in relation to «ours». glibc keeps freed memory (resets_cpu.py says why).", "",
             "| cell | pass | ours without | ours | torch without | torch pieces | sb3-contrib | ours / ours without |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in report["rows"]:
        times = " | ".join(f"{ms:.1f}" + ("" if name.startswith("ours") else f" ({ms / row['ms']['ours']:.2f})")
                           for name, ms in row["ms"].items())
        lines.append(f"| {row['cell']} | {row['pass']} | {times} | {row['cost_of_resets']:.3f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", default="lstm,gru")
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=128, help="H and I")
    parser.add_argument("--every", type=float, default=16, help="steps from one reset to the next, on average")
    parser.add_argument("--seconds", type=float, default=20, help="for each pass of each cell, at least three rounds")
    parser.add_argument("--out", help="files to write, without .md and .json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = {"machine": measure.machine()[0], "date": time.strftime("%Y-%m-%d"), "commit": measure.commit(),
              "torch": torch.__version__, "varlstm": build_info(), "T": options.steps, "B": options.batch,
              "H": options.hidden, "every": options.every, "seconds": options.seconds, "load": os.getloadavg()[0],
              "rows": [row for cell in options.cells.split(",") for row in run_cell(cell, options)]}
    print("\n" + markdown(report))
    if options.out:
        with open(options.out + ".md", "w", encoding="utf-8") as file:
            file.write(markdown(report))
        with open(options.out + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    slow = [row for row in report["rows"] if row["cost_of_resets"] > BAR]
    for row in slow:
        print(f"over the bar of {BAR}: {row['cell']} {row['pass']}, {row['cost_of_resets']:.3f}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
