#!/usr/bin/python3
"""Times a layer in jax on this machine's CPU: varlstm.jax against the loop of jax.lax.scan that a program would write.

Both are jitted and read the same padded batch of sentence lengths [T, B, I] in f32, I = H: forward alone, and
value_and_grad in all parameters and x. Three ways take turns, after their gradients have been compared:

    ours        varlstm.jax with lengths
    ours, full  the same without lengths, over the padding too
    scan        jax.lax.scan over the steps, x-gates of all steps in one product before, states kept after a sequence's end

A round is one measurement of each way. What counts is each way's least CPU time of the process (user and system), in which
the work of all threads adds up; --threads is for both (XLA's threads by the CPUs that the process may use).

    python3 bench/peers/jax_cpu.py --hidden 128,256,512         with jax from PyPI, PYTHONPATH=capi/python
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import os
import random
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "capi", "python"))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from varlstm import build_info  # noqa: E402
from varlstm.jax import GRU, LSTM  # noqa: E402


def lstm_unit(gates_x, gates_h, state):
    i, f, g, o = jnp.split(gates_x + gates_h, 4, axis=1)
    c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_unit(gates_x, gates_h, state):
    (r_x, z_x, n_x), (r_h, z_h, n_h) = jnp.split(gates_x, 3, axis=1), jnp.split(gates_h, 3, axis=1)
    z, n = jax.nn.sigmoid(z_x + z_h), jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h)
    return ((1 - z) * n + z * state[0],)


def scan(unit, states, params, x, lengths):
    """y [T, B, H]."""
    gates = x @ params["weight_ih_l0"].T + params["bias_ih_l0"]

    def advance(state, at):
        gates_x, inside = at[0], at[1][:, None]
        new = unit(gates_x, state[0] @ params["weight_hh_l0"].T + params["bias_hh_l0"], state)
        state = tuple(jnp.where(inside, a, b) for a, b in zip(new, state))
        return state, jnp.where(inside, state[0], 0)

    start = (jnp.zeros((x.shape[1], params["weight_hh_l0"].shape[1]), x.dtype),) * states
    return jax.lax.scan(advance, start, (gates, jnp.arange(x.shape[0])[:, None] < lengths))[1]


def ways_of(cell, hidden):
    rnn, unit, states = (LSTM(hidden, hidden), lstm_unit, 2) if cell == "lstm" else (GRU(hidden, hidden), gru_unit, 1)
    return rnn, {"ours": lambda params, x, lengths: rnn(params, x, lengths=lengths)[0],
                 "ours, full": lambda params, x, lengths: rnn(params, x)[0],
                 "scan": lambda params, x, lengths: scan(unit, states, params, x, lengths)}


def rounds(programs, arguments, seconds):
    """Each program's least CPU time and least time by the clock, in milliseconds."""
    cpu, wall = ({name: [] for name in programs} for _ in range(2))
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(cpu[next(iter(programs))]) < 3:
        for name, program in programs.items():
            before, start = time.process_time(), time.perf_counter()
            jax.block_until_ready(program(*arguments))
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - before)
    return {name: (1e3 * min(cpu[name]), 1e3 * min(wall[name])) for name in programs}


def run(cell, hidden, batch, seconds):
    draw = random.Random(batch)
    lengths = [max(1, round(draw.lognormvariate(2.64, 0.645))) for _ in range(batch)]  # as English sentences, median 14
    rnn, ways = ways_of(cell, hidden)
    params = rnn.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (max(lengths), batch, hidden))
    arguments = params, x, jnp.array(lengths)

    def loss(way):
        inside = jnp.arange(max(lengths))[:, None] < jnp.array(lengths)
        return lambda params, x, lengths: jnp.square(jnp.where(inside[..., None], way(params, x, lengths), 0)).sum()

    wraps = {"forward": lambda way: way, "both": lambda way: jax.value_and_grad(loss(way), argnums=(0, 1))}
    for mode, wrap in wraps.items():
        programs = {name: jax.jit(wrap(way)) for name, way in ways.items()}
        results = {name: jax.tree.leaves(program(*arguments)) for name, program in programs.items()}
        for a, b in zip(results["ours"], results["scan"]):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(jnp.abs(b).max()))
        times = rounds(programs, arguments, seconds)
        print(f"| {cell} | {hidden} | {max(lengths)} | {statistics.fmean(lengths):.1f} | {mode} | " +
              " | ".join(f"{cpu:.2f} ({cpu / times['ours'][0]:.2f})" for cpu, _ in times.values()) + " | " +
              " | ".join(f"{wall:.2f}" for _, wall in times.values()) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", default="lstm,gru")
    parser.add_argument("--hidden", default="128,512", help="H and I")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10, help="for each pass, at least three rounds")
    options = parser.parse_args()
    print(f"jax {jax.__version__}; {build_info()}; {len(os.sched_getaffinity(0))} threads; the machine's load before: "
          f"{os.getloadavg()[0]:.1f}; B = {options.batch}, I = H, one layer, f32. Least CPU time in milliseconds, in "
          "brackets in relation to «ours»; then the least time by the clock, in which other programs show.\n")
    print("| cell | H | T | mean length | pass | ours | ours, full | scan | clock: ours | ours, full | scan |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for cell in options.cells.split(","):
        for hidden in options.hidden.split(","):
            run(cell, int(hidden), options.batch, options.seconds)


if __name__ == "__main__":
    main()
