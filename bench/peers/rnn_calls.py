#!/usr/bin/env python3
"""What a call costs beside its arithmetic: one token of one sequence through I = H = 8, by varlstm.torch.LSTM and by
torch.nn.LSTM, with one thread. In turns; the fastest of the rounds, in µs.

    python3 bench/peers/rnn_calls.py                  # after sh tools/quickstart.sh, and pip install torch

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import copy
import os
import sys
import time

import torch
from torch.nn.utils.rnn import pack_padded_sequence

import measure

sys.path.insert(0, os.path.join(measure.ROOT, "capi", "python"))
os.environ["VARLSTM_LIBRARY"] = measure.LIBRARY

from varlstm._library import build_info  # noqa: E402
from varlstm.torch import replace_rnn  # noqa: E402

CALLS = 2000


def time_calls(rounds):
    """{case: {side: µs}}."""
    theirs = torch.nn.LSTM(8, 8)
    modules = {"torch": theirs, "varlstm.torch": replace_rnn(copy.deepcopy(theirs))}
    x = torch.randn(1, 1, 8)
    packed = pack_padded_sequence(x, [1])
    dy = torch.ones(1, 1, 8)

    def inference(module):
        with torch.no_grad():
            module(x)

    cases = {"forward without gradients": inference, "forward that saves": lambda module: module(x),
             "packed forward that saves": lambda module: module(packed),
             "forward and backward": lambda module: module(x)[0].backward(dy)}
    best = {case: dict.fromkeys(modules, float("inf")) for case in cases}
    for _ in range(rounds):
        for case, call in cases.items():
            for name, module in modules.items():
                start = time.perf_counter()
                for _ in range(CALLS):
                    call(module)
                best[case][name] = min(best[case][name], (time.perf_counter() - start) / CALLS * 1e6)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help=f"of {CALLS} calls")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{measure.machine()[0]}; torch {torch.__version__}; {build_info()}; commit {measure.commit()}; load "
          f"{os.getloadavg()[0]:.1f}\n")
    print("| call at B = 1, T = 1, H = 8 | torch, µs | varlstm.torch, µs |\n| --- | ---: | ---: |")
    for case, times in time_calls(options.rounds).items():
        print(f"| {case} | {times['torch']:.1f} | {times['varlstm.torch']:.1f} |")


if __name__ == "__main__":
    main()
