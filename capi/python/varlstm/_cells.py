"""What the package knows of each cell: how large its parameters are, and whether it has a cell state."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any, NamedTuple

from ._declarations import Cell
from ._library import InvalidArgumentError


class CellFacts(NamedTuple):
    gates: int  # the weights of one layer and direction have gates * H rows
    has_c: bool  # the cell has a cell state c beside h

    @property
    def rows(self) -> str:
        """The rows of a weight, in words."""
        return "H" if self.gates == 1 else f"{self.gates}H"


CELLS = {Cell.LSTM: CellFacts(4, True), Cell.GRU: CellFacts(3, False), Cell.RNN_TANH: CellFacts(1, False),
         Cell.RNN_RELU: CellFacts(1, False), Cell.GRU_RESET_BEFORE: CellFacts(3, False)}


def refuse_c(cell: Cell, **arrays: Any) -> None:
    """If the cell has no c, an array for one is an error that names it; None and False are not."""
    if CELLS[cell].has_c:
        return
    for name, value in arrays.items():
        if value is not None and value is not False:
            raise InvalidArgumentError(f"{name}: {type(value).__name__}, wanted None: the cell {cell.name} has no c")
