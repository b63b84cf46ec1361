"""What the comparisons on a CPU share: batches of English sentence lengths, measurements in turns, names of the machine.

SPDX-License-Identifier: Apache-2.0
"""
import math
import os
import random
import re
import statistics
import subprocess
import time

import torch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EWT = os.environ.get("VARLSTM_EWT_DIR", os.path.join(ROOT, "..", "shared", "data", "ud-english-ewt"))
LIBRARY = os.environ.get("VARLSTM_LIBRARY", os.path.join(ROOT, "build", "lib", "libvarlstm.so"))
THREADS = (1, 2)
TOLERANCE = 1e-4
FORWARD, BOTH = "forward", "forward+backward"


def sentence_lengths(path=None):
    """Those of a CoNLL-U file, and where they are from. Without a path they are of English web text."""
    source = "UD English EWT, train" if path is None else path
    path = path or os.path.join(EWT, "train.conllu")
    if source != path and not os.path.exists(path):
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
    lengths += [tokens] * (tokens > 0)
    if not lengths:
        raise ValueError(f"{path} has no sentence")
    return lengths, source


def draw_batches(lengths, batch):
    """Batches of `batch` sentences: about 16 sentences in all, at least one batch, near the mean length of the text.

    Longest first, because torch's sort leaves the order of equal lengths open, and h_n could not be compared.
    """
    mean = statistics.fmean(lengths)
    draw = random.Random(batch)
    count = max(1, 16 // batch)
    candidates = [[sorted(draw.choices(lengths, k=batch), reverse=True) for _ in range(count)] for _ in range(20)]
    return min(candidates, key=lambda batches: abs(sum(map(sum, batches)) / (count * batch) - mean))


class SgemmRate:
    """Torch's product of 1536 x 1536 x 1536 with each number of threads: the best rate of all measurements."""

    def __init__(self):
        self.best = {threads: 0.0 for threads in THREADS}
        self.a, self.b, self.c = (torch.rand(1536, 1536) for _ in range(3))

    def measure(self):
        for threads in THREADS:
            torch.set_num_threads(threads)
            for _ in range(3):
                start = time.perf_counter()
                torch.mm(self.a, self.b, out=self.c)
                self.best[threads] = max(self.best[threads], 2 * 1536**3 / (time.perf_counter() - start))


def rest(most=1.0):
    """Waits until no thread of this process runs any more: after a call, ONNX Runtime's spin for 23 ms and torch's for 8."""
    end = time.perf_counter() + most
    while time.perf_counter() < end:
        used = time.process_time()
        time.sleep(0.01)
        if time.process_time() - used < 5e-4:
            return


def time_runs(run, repeats):
    """Seconds of one run, after the threads of the side before have gone to sleep and a run that is not timed."""
    rest()
    run()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def time_in_turns(sides, runs, seconds):
    """Seconds of a run: {side: {threads: [measurements]}}. runs: {side: its run}; a side has set_threads.

    From the fifth round on, a number of threads at which its side is half as fast as at the other is left out.
    """
    measured = {name: {threads: [] for threads in THREADS} for name in runs}
    repeats = {}
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or (time.perf_counter() < end and rounds < 40):
        for name, run in runs.items():
            for threads, times in measured[name].items():
                if rounds >= 4 and min(times) > 2 * min(map(min, measured[name].values())):
                    continue
                sides[name].set_threads(threads)
                if (name, threads) not in repeats:  # a measurement takes at least 20 ms
                    repeats[name, threads] = max(1, round(0.02 / time_runs(run, 1)))
                times.append(time_runs(run, repeats[name, threads]))
        rounds += 1
    return measured


def best_of(measured):
    """The fastest measurement, its number of threads, and the median there."""
    threads = min(measured, key=lambda t: min(measured[t]))
    return min(measured[threads]), threads, statistics.median(measured[threads])


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*:\s*(.*)", file.read())
    name = f"{model.group(1).strip() if model else os.uname().machine}, {os.cpu_count()} CPUs"
    return name, re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def commit():
    answer = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            check=False)
    return answer.stdout.strip() or "unknown"
