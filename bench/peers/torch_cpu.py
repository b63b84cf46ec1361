#!/usr/bin/python3
"""Times PyTorch's nn.LSTM on packed batches and libvarlstm's LSTM, side by side on this machine's CPU.

Both see the same batches, weights and incoming gradients, and their outputs and gradients are compared before anything
is timed. In every cell (H, B, pass) the two take turns, each with 1 and with 2 threads; a round is one measurement of
all four, and what counts is each side's fastest measurement at its best number of threads: other work on the machine
only ever adds time. Packing is not timed. Rates are tokens a second; a token is 2 * 4H * (I + H) operations forward and
three times that with backward.

Run it with Debian's Python, which has Debian's torch: /usr/bin/python3 bench/peers/torch_cpu.py
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import ctypes
import json
import math
import os
import random
import re
import statistics
import subprocess
import sys
import time

import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import varlstm_lstm

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THREADS = (1, 2)
TOLERANCE = 1e-4
FORWARD, BOTH = "forward", "forward+backward"


def ewt_lengths():
    """Sentence lengths of English web text, and where they are from."""
    folder = os.environ.get("VARLSTM_EWT_DIR", os.path.join(ROOT, "..", "shared", "data", "ud-english-ewt"))
    path = os.path.join(folder, "train.conllu")
    if not os.path.exists(path):
        # Median 14 and 90 % point 32; the 99 % point comes out as 63 and the mean as 17 (57 and 16.3 in the text).
        draw = random.Random(1)
        lengths = [max(1, round(draw.lognormvariate(math.log(14), 0.645))) for _ in range(12000)]
        return lengths, "log-normal, median 14"
    lengths, tokens = [], 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            if re.match(r"\d+\t", line):
                tokens += 1
            elif not line.strip() and tokens:
                lengths.append(tokens)
                tokens = 0
    return lengths, "UD English EWT, train"


def draw_batches(lengths, batch):
    """Batches of `batch` sentences: about 16 sentences in all, at least one batch, near the mean length of the text.

    Longest first, because torch's sort leaves the order of equal lengths open, and h_n could not be compared.
    """
    mean = statistics.fmean(lengths)
    draw = random.Random(batch)
    count = max(1, 16 // batch)
    candidates = [[sorted(draw.choices(lengths, k=batch), reverse=True) for _ in range(count)] for _ in range(20)]
    return min(candidates, key=lambda batches: abs(sum(map(sum, batches)) / (count * batch) - mean))


class Blas:
    """The OpenBLAS that torch runs on, for its number of threads and for the SGEMM rate."""

    def __init__(self):
        with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
            paths = sorted(set(re.findall(r"/\S*libopenblas\S*", maps.read())))
        if not paths:
            sys.exit("torch_cpu.py: torch runs on a BLAS other than OpenBLAS; install libopenblas0-pthread")
        self.library, self.path = ctypes.CDLL(paths[0]), paths[0]
        self.best = {threads: 0.0 for threads in THREADS}
        self.a, self.b, self.c = (torch.rand(1536, 1536) for _ in range(3))

    def set_threads(self, threads):
        self.library.openblas_set_num_threads(threads)

    def measure(self):
        """cblas_sgemm of 1536 x 1536 x 1536 with each number of threads; keeps the best rate."""
        n, one, pointer = self.a.shape[0], ctypes.c_float(1), lambda t: ctypes.c_void_p(t.data_ptr())
        for threads in THREADS:
            self.set_threads(threads)
            for _ in range(3):
                start = time.perf_counter()
                self.library.cblas_sgemm(101, 111, 111, n, n, n, one, pointer(self.a), n, pointer(self.b), n,
                                         ctypes.c_float(0), pointer(self.c), n)
                self.best[threads] = max(self.best[threads], 2 * n**3 / (time.perf_counter() - start))


class TorchSide:
    def __init__(self, blas, size):
        self.blas, self.model = blas, torch.nn.LSTM(size, size)

    def set_threads(self, threads):
        torch.set_num_threads(threads)
        self.blas.set_threads(threads)

    def run(self, packs, dys, mode):
        if mode == FORWARD:
            with torch.no_grad():
                for pack in packs:
                    self.model(pack)
            return
        for pack, dy in zip(packs, dys):
            pack.data.grad = None
            for parameter in self.model.parameters():
                parameter.grad = None
            self.model(pack)[0].data.backward(dy)


class OurSide:
    """One LSTM for each number of threads, with the weights of the torch model."""

    def __init__(self, library, size, model, batches):
        self.lstms = {threads: varlstm_lstm.Lstm(library, size, size, threads) for threads in THREADS}
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in model.parameters()])
        for lstm in self.lstms.values():
            lstm.params.copy_(flat)
        self.batches = {threads: [lstm.batch(lengths) for lengths in batches] for threads, lstm in self.lstms.items()}
        self.set_threads(1)

    def set_threads(self, threads):
        self.threads = threads

    def run(self, packs, dys, mode):
        for batch, pack, dy in zip(self.batches[self.threads], packs, dys):
            if mode == FORWARD:
                batch.forward(pack.data.detach())
            else:
                batch.forward_backward(pack.data.detach(), dy)


def compare(theirs, ours, packs, dys, where):
    """Outputs, states and every gradient of each batch, relative to the largest value."""
    for threads in THREADS:
        ours.set_threads(threads)
        for k, (pack, dy) in enumerate(zip(packs, dys)):
            batch = ours.batches[threads][k]
            theirs.run([pack], [dy], BOTH)
            with torch.no_grad():
                y, (h_n, c_n) = theirs.model(pack)
            batch.forward(pack.data.detach())
            pairs = {"y (INFER)": (y.data, batch.y.clone())}
            batch.forward_backward(pack.data.detach(), dy)
            gradients = torch.cat([parameter.grad.reshape(-1) for parameter in theirs.model.parameters()])
            pairs.update({"y": (y.data, batch.y), "h_n": (h_n[0], batch.h_n), "c_n": (c_n[0], batch.c_n),
                          "dx": (pack.data.grad, batch.dx), "dparams": (gradients, ours.lstms[threads].dparams)})
            for name, (expected, actual) in pairs.items():
                error = ((expected - actual).abs().max() / expected.abs().max()).item()
                if not error <= TOLERANCE:
                    sys.exit(f"torch_cpu.py: {where}, batch {k}, {threads} threads: {name} differs by {error:.2e}")


def time_runs(side, repeats, *arguments):
    """Seconds of one run, after threads of the side before have gone to sleep; a short one is warmed up first."""
    time.sleep(0.04)
    if repeats > 1:
        side.run(*arguments)
    start = time.perf_counter()
    for _ in range(repeats):
        side.run(*arguments)
    return (time.perf_counter() - start) / repeats


def time_cell(sides, packs, dys, mode, seconds):
    """Seconds of a run over all batches: {side: {threads: [measurements]}}, taken in turns.

    From the third round on, a number of threads at which its side is half as fast as at the other is left out.
    """
    measured = {name: {threads: [] for threads in THREADS} for name in sides}
    repeats = {}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or (time.perf_counter() < end and rounds < 40):
        for name, side in sides.items():
            for threads, times in measured[name].items():
                if rounds >= 2 and min(times) > 2 * min(map(min, measured[name].values())):
                    continue
                side.set_threads(threads)
                if (name, threads) not in repeats:  # a measurement takes at least 20 ms
                    repeats[name, threads] = max(1, round(0.02 / time_runs(side, 1, packs, dys, mode)))
                times.append(time_runs(side, repeats[name, threads], packs, dys, mode))
        rounds += 1
    return measured


def best_of(measured):
    """The fastest measurement, its number of threads, and the median there."""
    threads = min(measured, key=lambda t: min(measured[t]))
    return min(measured[threads]), threads, statistics.median(measured[threads])


def run_cell(library, blas, lengths, size, batch, seconds):
    torch.manual_seed(size + batch)
    batches = draw_batches(lengths, batch)
    theirs = TorchSide(blas, size)
    ours = OurSide(library, size, theirs.model, batches)
    packs = [pack_sequence([torch.randn(length, size) for length in lengths_of]) for lengths_of in batches]
    packs = [PackedSequence(pack.data.requires_grad_(), *pack[1:]) for pack in packs]
    dys = [torch.randn(pack.data.shape) for pack in packs]
    compare(theirs, ours, packs, dys, f"H = {size}, B = {batch}")
    tokens = sum(map(sum, batches))
    blas.measure()
    rows = []
    for mode in (FORWARD, BOTH):
        measured = time_cell({"torch": theirs, "varlstm": ours}, packs, dys, mode, seconds)
        torch_s, torch_threads, torch_median = best_of(measured["torch"])
        our_s, our_threads, our_median = best_of(measured["varlstm"])
        operations = tokens * 16 * size * size * (1 if mode == FORWARD else 3)
        rows.append({
            "pass": mode, "H": size, "B": batch, "batches": len(batches), "tokens": tokens,
            "torch_tokens_per_s": tokens / torch_s, "torch_threads": torch_threads,
            "varlstm_tokens_per_s": tokens / our_s, "varlstm_threads": our_threads,
            "ratio": torch_s / our_s, "ratio_of_medians": torch_median / our_median,
            "varlstm_gflops": operations / our_s / 1e9, "rounds": max(map(len, measured["torch"].values()))})
        row = rows[-1]
        print(f"{mode:17} H {size:5} B {batch:3}: torch {row['torch_tokens_per_s']:9.0f} tokens/s "
              f"({torch_threads} threads), varlstm {row['varlstm_tokens_per_s']:9.0f} ({our_threads}), "
              f"ratio {row['ratio']:6.2f}, {row['varlstm_gflops']:6.1f} GFLOP/s", flush=True)
    return rows


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    name = f"{model.group(1).strip() if model else os.uname().machine}, {os.cpu_count()} CPUs"
    return name, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def commit():
    answer = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False)
    return answer.stdout.strip() or "unknown"


def summary(rows):
    lines = []
    for mode in (FORWARD, BOTH):
        ratios = [row["ratio"] for row in rows if row["pass"] == mode]
        least = min((row for row in rows if row["pass"] == mode), key=lambda row: row["ratio"])
        lines.append(f"{mode}: geometric mean {statistics.geometric_mean(ratios):.2f}, minimum {least['ratio']:.2f} "
                     f"(H = {least['H']}, B = {least['B']})")
    large = [row for row in rows if row["H"] >= 256 and row["B"] == 64]
    if large:
        least = min(large, key=lambda row: row["sgemm_share"])
        lines.append(f"H ≥ 256, B = 64: at least {least['sgemm_share']:.0%} of the SGEMM rate "
                     f"({least['pass']}, H = {least['H']})")
    return lines


def markdown(report):
    rates = ", ".join(f"{rate:.1f} GFLOP/s with {threads}" for threads, rate in report["sgemm_gflops"].items())
    lines = ["# nn.LSTM on packed batches and libvarlstm, on the CPU", "",
             f"{report['machine']}; torch {report['torch']}; {report['varlstm']}; commit {report['commit']}; "
             f"{report['date']}.", f"Lengths: {report['lengths']}. I = H, one layer, f32. Each side at its better number "
             "of threads (in brackets); fastest of the rounds, taken in turns.",
             f"SGEMM of 1536³ in the same run: {rates} threads; the share is of the rate with as many threads.", "",
             "| pass | H | B | torch tokens/s | varlstm tokens/s | ratio | GFLOP/s | of SGEMM |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in report["rows"]:
        lines.append(f"| {row['pass']} | {row['H']} | {row['B']} | {row['torch_tokens_per_s']:,.0f} "
                     f"({row['torch_threads']}) | {row['varlstm_tokens_per_s']:,.0f} ({row['varlstm_threads']}) | "
                     f"{row['ratio']:.2f} | {row['varlstm_gflops']:.1f} | {row['sgemm_share']:.0%} |")
    return "\n".join(lines + [""] + [f"- {line}" for line in report["summary"]]) + "\n"


def main():
    numbers = lambda text: [int(part) for part in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", default=os.path.join(ROOT, "build", "lib", "libvarlstm.so"))
    parser.add_argument("--hidden", type=numbers, default=[100, 128, 256, 512, 1024], help="H and I")
    parser.add_argument("--batch", type=numbers, default=[1, 16, 64], help="B")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each pass of each cell, at least three rounds")
    parser.add_argument("--out", default=os.path.join(ROOT, "bench", "results", "cpu"), help="folder; '' writes nothing")
    options = parser.parse_args()
    if not os.path.exists(options.library):
        sys.exit(f"torch_cpu.py: {options.library} is missing; build it first: sh tools/quickstart.sh")

    library, blas = varlstm_lstm.load(options.library), Blas()
    lengths, source = ewt_lengths()
    start = time.perf_counter()
    rows = []
    for size in options.hidden:
        for batch in options.batch:
            rows += run_cell(library, blas, lengths, size, batch, options.seconds)
    rows.sort(key=lambda row: row["pass"] != FORWARD)
    for row in rows:
        row["sgemm_share"] = row["varlstm_gflops"] * 1e9 / blas.best[row["varlstm_threads"]]
    name, slug = machine()
    report = {"machine": name, "date": time.strftime("%Y-%m-%d"), "commit": commit(), "torch": torch.__version__,
              "varlstm": library.varlstm_build_info().decode(), "lengths": source,
              "blas_of_torch": os.path.basename(blas.path), "seconds": round(time.perf_counter() - start),
              "sgemm_gflops": {threads: rate / 1e9 for threads, rate in blas.best.items()},
              "summary": summary(rows), "rows": rows}
    table = markdown(report)
    print("\n" + table)
    if options.out:
        os.makedirs(options.out, exist_ok=True)
        path = os.path.join(options.out, slug)
        with open(path + ".md", "w", encoding="utf-8") as file:
            file.write(table)
        with open(path + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        print(f"written: {path}.md and .json")


if __name__ == "__main__":
    main()
