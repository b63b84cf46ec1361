"""Weights that the library arranges once for many calls without gradients."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from typing import Dict, Iterator, List, Optional, Tuple

import torch
from torch import Tensor
from torch.optim import optimizer

from .._declarations import Mode
from .._handles import Native, create
from .._library import lib
from ._device import Rnn, scratch

_MOST = 256  # networks whose weights are kept; with more, all are arranged anew


class _Prepared(Native):
    """A prepared rnn. It keeps alive what it reads, so that no other tensors can have these addresses."""

    __slots__ = ("state", "_params", "_memory")

    def __init__(self, rnn: Rnn, nbytes: int, params: List[Tensor]) -> None:
        self.state, self._memory = _state(params), scratch(nbytes, params[0])
        # A Parameter may move to other memory, as in module.half(): its old memory is kept too.
        self._params = params + [param.detach() for param in params]
        super().__init__(create(lib.varlstm_rnn_prepare, rnn.pointer, Mode.INFER, params[0].data_ptr(),
                                self._memory.data_ptr(), nbytes, 0), lib.varlstm_rnn_destroy, rnn)


class _Kept(threading.local):
    entries: Optional[Dict[Tuple[int, int], Optional[_Prepared]]] = None


_kept = _Kept()
_last_step: Optional[object] = None  # another object after each optimiser's step


def _mark_step(*unused) -> None:
    global _last_step  # pylint: disable=global-statement
    _last_step = object()


@functools.lru_cache(maxsize=None)
def _watch_optimisers() -> None:
    """Once a process. An optimiser that is fused writes to parameters without a new version of them."""
    register = getattr(optimizer, "register_optimizer_step_post_hook", None)
    if register is not None:  # before torch 2.0 none is fused on the CPU
        register(_mark_step)


def _state(params: List[Tensor]) -> tuple:
    """What differs after the parameters have been moved or, but by .data, changed."""
    return (params[0].data_ptr(), _last_step, *[param._version for param in params])


@contextlib.contextmanager
def prepared_weights() -> Iterator[None]:
    """In this context calls without gradients, and steps, of LSTM, GRU and RNN find their weights arranged for the
    processor by the first such call of each module. Otherwise each call arranges them, which takes longer than the rest of
    a call of one token:

        with torch.no_grad(), varlstm.torch.prepared_weights():
            for token in stream:
                y = lstm.step(token, state, slots)

    Results have the same bits. Changes of the parameters that autograd sees are seen here too: an optimiser's step,
    load_state_dict, and any other change in place arrange the weights anew. What is written to `param.data`, or by NumPy
    over the parameter's memory, is not seen before the context is left, as with the weights that torch.autocast keeps.
    It needs as much memory again as the weights, until it is left. It is of one thread. On a GPU, under torch.compile,
    where torch.autocast converts the parameters, and if they are not one after the other in memory, it changes nothing.
    Contexts may be nested: the inner one has no effect.
    """
    if _kept.entries is not None:
        yield
        return
    _watch_optimisers()
    _kept.entries = {}
    try:
        yield
    finally:
        _kept.entries = None


def prepared(rnn: Rnn, params: List[Tensor]) -> Native:
    """The rnn for a call without gradients on these parameters, which are one after the other in memory."""
    entries, first = _kept.entries, params[0]
    if entries is None or first.is_cuda or type(first) is not torch.nn.Parameter or first.is_inference():
        return rnn
    key = rnn.pointer, id(first)
    found = entries.get(key)
    if found is None and key in entries:  # there is nothing to arrange
        return rnn
    if found is not None and found.state == _state(params):
        return found
    nbytes = ctypes.c_int64()
    lib.varlstm_rnn_prepared_size(rnn.pointer, Mode.INFER, ctypes.byref(nbytes))
    if len(entries) >= _MOST:
        entries.clear()
    entries[key] = _Prepared(rnn, nbytes.value, params) if nbytes.value else None
    return entries[key] or rnn
