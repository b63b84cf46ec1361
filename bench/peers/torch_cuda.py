#!/usr/bin/python3
"""Times PyTorch's nn.LSTM on the problems of varlstm-bench --lstm, on a GPU by CUDA events or on the CPU by the wall clock.

Three ways for each problem, as implementations of their own:
  torch packed              a PackedSequence in and out: varlstm-bench's --layout=packed
  torch packed from padded  pack_padded_sequence, the LSTM, pad_packed_sequence: its --layout=batch_first
  torch padded              the LSTM over [B, T, I], padding computed as if it were data
Problems, lengths and the JSON file are varlstm-bench's, so that bench/plot.py draws both. fwd runs without gradients, train is
forward and backward with every gradient.

  python3 bench/peers/torch_cuda.py --dtype=bf16 --lens=ewt,fixed:64 --json=torch.json b16h128 b64h256
  /usr/bin/python3 bench/peers/torch_cuda.py --device=cpu --threads=1 b8h64        (Debian's python3-torch)

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import statistics
import sys
import time

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import problems

DTYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "f16": torch.float16}
PACKED, FROM_PADDED, PADDED = "torch packed", "torch packed from padded", "torch padded"


class Lstm:
    """One problem in one way: run() is what is timed."""

    def __init__(self, problem, lengths, dtype, device, way, train):
        torch.manual_seed(0)
        self.way, self.train = way, train
        self.lengths = torch.tensor(sorted(lengths, reverse=True))  # on the CPU, as pack_padded_sequence wants them
        self.model = torch.nn.LSTM(problem["input"], problem["hidden"], problem["layers"], batch_first=True,
                                   bidirectional=problem["directions"] == 2).to(device, dtype)
        shape = (len(lengths), max(lengths))
        self.x = torch.randn(*shape, problem["input"], device=device, dtype=dtype, requires_grad=train)
        self.leaf = self.x
        outputs = problem["directions"] * problem["hidden"]
        if way == PACKED:
            self.x = pack_padded_sequence(self.x.detach(), self.lengths, batch_first=True)
            self.leaf = self.x.data.requires_grad_(train)
            shape = (sum(lengths),)
        self.dy = torch.randn(*shape, outputs, device=device, dtype=dtype)

    def forward(self):
        if self.way == PACKED:
            return self.model(self.x)[0].data
        if self.way == FROM_PADDED:
            packed = pack_padded_sequence(self.x, self.lengths, batch_first=True)
            return pad_packed_sequence(self.model(packed)[0], batch_first=True)[0]
        return self.model(self.x)[0]

    def run(self):
        if not self.train:
            with torch.no_grad():
                self.forward()
            return
        self.leaf.grad = None
        for parameter in self.model.parameters():
            parameter.grad = None
        self.forward().backward(self.dy)


def timer(device):
    """A function that returns the seconds of one call."""
    def wall(run):
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    def events(run):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        stop.record()
        stop.synchronize()
        return 1e-3 * start.elapsed_time(stop)

    return events if device == "cuda" else wall


def measure(run, seconds_of, budget):
    """Median and least seconds over about `budget` seconds, at least five runs; three before do not count."""
    for _ in range(3):
        seconds_of(run)
    samples, end = [], time.perf_counter() + budget
    while len(samples) < 5 or (time.perf_counter() < end and len(samples) < 2000):
        samples.append(seconds_of(run))
    return statistics.median(samples), min(samples), len(samples)


def result(options, problem, lens, lengths, dtype, way, pass_name):
    lstm = Lstm(problem, lengths, DTYPES[dtype], options.device, way, pass_name == "train")
    median, least, runs = measure(lstm.run, timer(options.device), options.seconds)
    tokens, steps = sum(lengths), max(lengths)
    layout = "packed" if way == PACKED else "batch_first"
    return {"implementation": way, "problem": problems.describe(problem), **problem, "dir": pass_name, "dtype": dtype,
            "math": options.math, "lens": lens, "layout": layout, "cache": "warm", "seed": options.seed, "tokens": tokens,
            "steps": steps, "padded_tokens": steps * len(lengths),
            "performance": {"ms": 1e3 * median, "least_ms": 1e3 * least, "runs": runs,
                            "us_per_step": 1e6 * median / (steps * problem["layers"]),
                            "tokens_per_s": tokens / median, "padded_tokens_per_s": steps * len(lengths) / median}}


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else "unknown CPU"


def about(options):
    device = torch.cuda.get_device_name() if options.device == "cuda" else processor()
    return {"library": f"torch {torch.__version__}", "cudnn": torch.backends.cudnn.version(), "backend": options.device,
            "device": device, "threads": torch.get_num_threads(),
            "clock": "CUDA events" if options.device == "cuda" else "wall clock",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def parse_arguments():
    names = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--threads", type=int, default=0, help="on the CPU; 0: torch's own choice")
    parser.add_argument("--dir", type=names, default=["fwd"], help="fwd, train")
    parser.add_argument("--dtype", type=names, default=["f32"], help=", ".join(DTYPES))
    parser.add_argument("--math", choices=("f32", "tf32"), default="f32")
    parser.add_argument("--lens", type=names, default=["fixed:32"], help="as varlstm-bench's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each measurement")
    parser.add_argument("--json", help="file for every result")
    parser.add_argument("--batch", help="file of problems, # begins a comment")
    parser.add_argument("problems", nargs="*", help="such as l1b16i128h128d1")
    options = parser.parse_args()
    for text in options.dir:
        if text not in ("fwd", "train"):
            parser.error(f"--dir = {text} is neither fwd nor train")
    for text in options.dtype:
        if text not in DTYPES:
            parser.error(f"--dtype = {text} is none of {', '.join(DTYPES)}")
    try:
        options.problems = [problems.parse_problem(text) for text in options.problems]
        options.problems += problems.read_problems(options.batch) if options.batch else []
        for lens in options.lens:
            problems.draw_lengths(lens, 1, options.seed)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if not options.problems:
        parser.error("no problem is given, such as l1b16i128h128d1")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device = cuda: torch sees no GPU")
    return options


def write(path, report):
    """After each problem: a run that is ended early leaves what it has measured."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")


def main():
    options = parse_arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.math == "tf32"
    report = {"about": about(options), "notes": [], "results": []}
    for problem in options.problems:
        for lens in options.lens:
            lengths = problems.draw_lengths(lens, problem["batch"], options.seed)
            where = f"{problems.describe(problem)} {lens}"
            if min(lengths) < 1:
                report["notes"].append(f"{where}: skipped, torch packs no sequence of length 0")
                print(report["notes"][-1])
                continue
            for dtype in options.dtype:
                for pass_name in options.dir:
                    for way in (PACKED, FROM_PADDED, PADDED):
                        row = result(options, problem, lens, lengths, dtype, way, pass_name)
                        times = row["performance"]
                        print(f"{where} {pass_name:5} {dtype:4} {way:24} {times['ms']:10.4f} ms "
                              f"{times['us_per_step']:9.3f} µs/step {1e-6 * times['tokens_per_s']:9.3f} Mtoken/s",
                              flush=True)
                        report["results"].append(row)
            write(options.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
