"""Parameters of flax.linen's cells as those of this package's networks."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, Dict, Mapping

import jax
import jax.numpy as jnp

from .._library import InvalidArgumentError

_GATES = ("ifgo", "rzn", ("",))  # of LSTMCell and OptimizedLSTMCell, of GRUCell, of SimpleCell


def _gates_of(name: str, cell: Any) -> Any:
    for gates in _GATES:
        if isinstance(cell, Mapping) and set(cell) == {side + gate for side in "ih" for gate in gates}:
            return gates
    given = ", ".join(cell) if isinstance(cell, Mapping) else type(cell).__name__
    raise InvalidArgumentError(f"{name}: {given}, wanted the parameters of flax.linen's LSTMCell, OptimizedLSTMCell, "
                               "GRUCell or SimpleCell")


def from_flax(*cells: Mapping, bidirectional: bool = False) -> Dict[str, jax.Array]:
    """The parameters of an LSTM, GRU or RNN from those of flax.linen's cells, one for each layer; with `bidirectional` two,
    of which the second one's nn.RNN has reverse=True and keep_order=True. variables["params"] has them."""
    params = {}
    for index, cell in enumerate(cells):
        gates = _gates_of(f"cells[{index}]", cell)
        layer, direction = divmod(index, 2) if bidirectional else (index, 0)
        for side, letter in (("ih", "i"), ("hh", "h")):
            parts = [cell[letter + gate] for gate in gates]
            place = f"_{side}_l{layer}" + "_reverse" * direction
            params["weight" + place] = jnp.concatenate([part["kernel"].T for part in parts])
            biases = [part.get("bias", jnp.zeros_like(part["kernel"][0])) for part in parts]
            params["bias" + place] = jnp.concatenate(biases)
    return params
