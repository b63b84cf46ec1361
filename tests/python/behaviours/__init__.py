"""The table of what torch.nn.LSTM, GRU and RNN do, with a check of what varlstm.torch's do: see table.py."""
# SPDX-License-Identifier: Apache-2.0
from . import calls, constructor, gradients, parameters, programs, transforms  # noqa: F401  each adds its rows
from .table import KINDS, ROWS, Kind, Row  # noqa: F401
