"""Trains a GRU in jax to remember a number over an episode, on rollouts in which many episodes end.

    PYTHONPATH=capi/python python3 capi/python/examples/rollouts_jax.py --steps 200

The first token of an episode shows a number, -1 or 1; after each token the network must tell it. Episodes begin anywhere in
a rollout, which the resets say: in place of a jax.lax.scan that sets the state to zero at each token, there is one call.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp

from varlstm.jax import GRU

STEPS, ROLLOUTS, HIDDEN = 24, 32, 16
GRU_OF_INPUTS = GRU(2, HIDDEN)  # what is shown, and whether it is shown


def draw(key: jax.Array) -> tuple:
    """Rollouts: x [T, B, 2], resets [T, B] and the numbers to tell [T, B]."""
    of_resets, of_numbers = jax.random.split(key)
    resets = jax.random.bernoulli(of_resets, 0.15, (STEPS, ROLLOUTS)).at[0].set(True)
    numbers = jax.random.rademacher(of_numbers, (STEPS, ROLLOUTS), jnp.float32)
    x = jnp.stack([jnp.where(resets, numbers, 0), resets.astype(jnp.float32)], axis=2)
    first = jax.lax.cummax(jnp.where(resets, jnp.arange(STEPS)[:, None], 0))  # each token's first one of its episode
    return x, resets, jnp.take_along_axis(numbers, first, axis=0)


def loss(params: dict, x: jax.Array, resets: jax.Array, numbers: jax.Array) -> jax.Array:
    y, _ = GRU_OF_INPUTS(params["gru"], x, resets=resets)
    return jnp.square(y @ params["out"] - numbers).mean()


@jax.jit
def step(params: dict, key: jax.Array, lr: float) -> tuple:
    value, gradients = jax.value_and_grad(loss)(params, *draw(key))
    return value, jax.tree.map(lambda param, gradient: param - lr * gradient, params, gradients)


def train(steps: int, lr: float) -> list:
    """The losses, of which every 50th is printed."""
    key = jax.random.key(0)
    params = {"gru": GRU_OF_INPUTS.init(key), "out": jnp.zeros(HIDDEN)}
    losses = []
    for index in range(steps):
        value, params = step(params, jax.random.fold_in(key, index), lr)
        losses.append(float(value))
        if index % 50 == 0 or index == steps - 1:
            print(f"step {index:4}: loss {losses[-1]:.4f}", flush=True)
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--lr", type=float, default=0.3)
    options = parser.parse_args()
    if options.steps < 1:
        parser.error(f"--steps {options.steps}: must be at least 1")
    train(options.steps, options.lr)


if __name__ == "__main__":
    main()
