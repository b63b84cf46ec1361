#!/usr/bin/python3
"""Times the learner of sb3-contrib's RecurrentPPO, RecurrentPPO.train(), with its own LSTM policy and with the one of
capi/python/examples/recurrent_ppo.py, on one thread of this machine's CPU.

Both models have the same parameters and train on the same rollout, which has been collected once. They take turns; each
turn starts from these parameters again, and their losses are compared. What counts is the least CPU time (user).

    python3 bench/peers/recurrent_ppo_cpu.py --hidden 64,256         with torch and sb3-contrib from PyPI
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import copy
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "capi", "python"), os.path.join(ROOT, "capi", "python", "examples")]

import numpy  # noqa: E402
import recurrent_ppo  # noqa: E402
import sb3_contrib  # noqa: E402
import torch  # noqa: E402

import varlstm  # noqa: E402

POLICIES = {"ours": recurrent_ppo.LstmPolicy, "sb3-contrib": "MlpLstmPolicy"}


def compare(hidden, envs, steps, rounds):
    models = {name: recurrent_ppo.make_model(policy, envs, steps, hidden) for name, policy in POLICIES.items()}
    models["ours"].learn(1)
    start = copy.deepcopy(models["ours"].policy.state_dict())
    optimizer = copy.deepcopy(models["ours"].policy.optimizer.state_dict())
    models["sb3-contrib"].learn(1)  # which prepares what train() needs
    models["sb3-contrib"].rollout_buffer = models["ours"].rollout_buffer
    times, losses = {name: [] for name in models}, {}
    for _ in range(rounds):
        for name, model in models.items():
            model.policy.load_state_dict(start)
            model.policy.optimizer.load_state_dict(copy.deepcopy(optimizer))
            numpy.random.seed(0)  # which draws the order of the sequences
            before = os.times().user
            model.train()
            times[name].append(os.times().user - before)
            losses[name] = model.logger.name_to_value["train/loss"]
    ours, theirs = (min(times[name]) for name in models)
    print(f"| {hidden} | {envs} x {steps} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} | {losses['ours']:.6f} | "
          f"{losses['sb3-contrib']:.6f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--hidden", default="64,256")
    parser.add_argument("--envs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"sb3-contrib {sb3_contrib.__version__}; torch {torch.__version__}; {varlstm.build_info()}; one thread; the "
          f"machine's load before: {os.getloadavg()[0]:.1f}. Least seconds of user time of train().\n")
    print("| H | rollout | ours | sb3-contrib | sb3-contrib / ours | loss: ours | sb3-contrib |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for hidden in options.hidden.split(","):
        compare(int(hidden), options.envs, options.steps, options.rounds)


if __name__ == "__main__":
    main()
