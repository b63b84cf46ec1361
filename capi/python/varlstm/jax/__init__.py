"""LSTM, GRU and RNN for jax, over XLA's FFI, on the CPU; nothing is compiled beside what jax compiles.

    import jax, jax.numpy as jnp
    from varlstm.jax import LSTM

    lstm = LSTM(3, 5, bidirectional=True, batch_first=True)
    params = lstm.init(jax.random.key(0))                                              # torch.nn.LSTM's names
    x, lengths = jnp.ones((2, 4, 3)), jnp.array([4, 2])

    @jax.jit
    def loss(params, x, lengths):
        y, (h_n, c_n) = lstm(params, x, lengths=lengths)
        return jnp.square(y).sum()

    gradients = jax.grad(loss)(params, x, lengths)

from_flax takes over the parameters of flax.linen's cells.
"""
# SPDX-License-Identifier: Apache-2.0
from ._flax import from_flax
from ._rnn import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "from_flax"]
