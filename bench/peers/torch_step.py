"""Steps of streams through varlstm.torch's step and through torch.nn's module, one token a call, in turns.

    PYTHONPATH=capi/python VARLSTM_LIBRARY=build/lib/libvarlstm.so.0 python3 bench/peers/torch_step.py

One thread, float32, I = H. A reading is the fastest group of ten calls, which other programs on the machine disturb
least; a row has the median of the rounds' readings, in microseconds a call. Torch's states are those of the B streams,
ours are in a table of 1,024 slots.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import statistics
import time
from typing import Callable

import torch
import varlstm.torch as ours

SLOTS = 1024
SHAPES = [("LSTM", 8, 1, 1), ("LSTM", 64, 1, 1), ("LSTM", 128, 1, 1), ("LSTM", 128, 2, 1), ("LSTM", 256, 1, 1),
          ("LSTM", 512, 1, 1), ("LSTM", 128, 1, 16), ("LSTM", 128, 1, 64), ("LSTM", 512, 1, 64), ("GRU", 128, 1, 1)]


def microseconds(call: Callable[[], object], seconds: float) -> float:
    """The time of a call in the fastest group of ten calls within so many seconds."""
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            call()
        times.append((time.perf_counter() - start) / 10 * 1e6)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one reading")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}")
    print("| cell | H | L | B | torch.nn, us | varlstm.torch, us | times |\n| --- | --- | --- | --- | --- | --- | --- |")
    for cell, hidden, layers, streams in SHAPES:
        theirs, module = getattr(torch.nn, cell)(hidden, hidden, layers), getattr(ours, cell)(hidden, hidden, layers)
        x, h = torch.randn(streams, hidden), torch.zeros(layers, streams, hidden)
        table = torch.zeros(layers, SLOTS, hidden)
        states, tables = ((h, h.clone()), (table, table.clone())) if cell == "LSTM" else (h, table)
        token, slots = x.unsqueeze(0), torch.arange(streams) * 389 % SLOTS
        calls = (lambda: theirs(token, states)), (lambda: module.step(x, tables, slots))
        with torch.no_grad():
            for call in calls:
                microseconds(call, 0.05)
            readings = [[microseconds(call, args.seconds) for call in calls] for _ in range(args.rounds)]
        a, b = (statistics.median(one) for one in zip(*readings))
        print(f"| {cell} | {hidden} | {layers} | {streams} | {a:.1f} | {b:.1f} | {a / b:.2f} |", flush=True)


if __name__ == "__main__":
    main()
