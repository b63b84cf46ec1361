"""Parameters of flax's cells, of linen and of nnx, as those of this package's networks."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

import jax
import jax.numpy as jnp

from .._library import InvalidArgumentError

# The products with x and with h of each cell, in the order of torch's gates.
_CELLS: Tuple[Tuple[List[str], List[str]], ...] = (
    (["ii", "if", "ig", "io"], ["hi", "hf", "hg", "ho"]),  # linen's LSTMCell and OptimizedLSTMCell
    (["ir", "iz", "in"], ["hr", "hz", "hn"]),  # linen's GRUCell
    (["i"], ["h"]),  # linen's SimpleCell
    (["ii", "if_", "ig", "io"], ["hi", "hf", "hg", "ho"]),  # nnx's LSTMCell
    (["dense_i"], ["dense_h"]),  # nnx's OptimizedLSTMCell, GRUCell and SimpleCell
)


def _products_of(name: str, cell: Any) -> Tuple[List[str], List[str]]:
    for products in _CELLS:
        if isinstance(cell, Mapping) and set(cell) == set(products[0] + products[1]):
            return products
    given = ", ".join(cell) if isinstance(cell, Mapping) else type(cell).__name__
    raise InvalidArgumentError(f"{name}: {given}, wanted the parameters of flax's LSTMCell, OptimizedLSTMCell, GRUCell or "
                               "SimpleCell")


def from_flax(*cells: Mapping, bidirectional: bool = False) -> Dict[str, jax.Array]:
    """The parameters of an LSTM, GRU or RNN from those of flax's cells, one for each layer; with `bidirectional` two, of
    which the second one's nn.RNN has reverse=True and keep_order=True. Of a cell of flax.linen variables["params"] has
    them, of one of flax.nnx they are nnx.state(cell, nnx.Param)."""
    params = {}
    for index, cell in enumerate(cells):
        products = _products_of(f"cells[{index}]", cell)
        layer, direction = divmod(index, 2) if bidirectional else (index, 0)
        for side, names in zip(("ih", "hh"), products):
            parts = [cell[name] for name in names]
            place = f"_{side}_l{layer}" + "_reverse" * direction
            kernels = [jnp.asarray(part["kernel"]) for part in parts]
            params["weight" + place] = jnp.concatenate([kernel.T for kernel in kernels])
            biases = [jnp.asarray(part["bias"]) if "bias" in part else jnp.zeros_like(kernel[0])
                      for part, kernel in zip(parts, kernels)]
            params["bias" + place] = jnp.concatenate(biases)
    return params
