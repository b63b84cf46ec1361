"""What varlstm.torch keeps for a device: a context, rnns and losses that all calls share, and batches that one call
uses at a time."""
# SPDX-License-Identifier: Apache-2.0
import ctypes
import functools
import threading
from typing import Dict, List, Optional, Tuple

import torch

from .._declarations import Backend, Dtype, Key, Layout, Math, Mode, Op, Reduction, Space
from .._handles import Native, create, set_value
from .._library import lib, unchecked
from ._math import Product, allows_tf32

# Without the checks of arguments that the caller chose: all are addresses and sizes of tensors.
_from_batch_sizes, _set_lengths = unchecked("varlstm_batch_from_batch_sizes"), unchecked("varlstm_batch_set_lengths")
_HOST, _BACKEND = int(Space.HOST), int(Space.BACKEND)  # an enum's names take longer to look up

DTYPES = {torch.float32: Dtype.F32.value, torch.float64: Dtype.F64.value, torch.bfloat16: Dtype.BF16.value,
          torch.float16: Dtype.F16.value}
_MAX_IDLE_BATCHES = 128

Bounds = Tuple[int, int, int]  # max_batch, max_len, max_tokens


def _query(function, *arguments) -> int:
    value = ctypes.c_int64()
    function(*arguments, ctypes.byref(value))
    return value.value


# The options of a cell, in the order in which an operation of torch takes their numbers.
OPTIONS = (Key.RECURRENT_DROPOUT_KIND, Key.RECURRENT_DROPOUT, Key.ZONEOUT_H, Key.ZONEOUT_C, Key.CELL_CLIP,
           Key.PROJECTION_CLIP, Key.LAYER_NORM)
_INTEGERS = (Key.RECURRENT_DROPOUT_KIND, Key.LAYER_NORM)
NO_OPTIONS = [0.0] * len(OPTIONS)


class Rnn(Native):
    """A network's description. Immutable, and so shared by everybody who needs the same one."""

    __slots__ = ("elements",)

    def __init__(self, context: "Context", cell: int, dtype: torch.dtype, input_size: int, hidden_size: int,
                 proj_size: int, num_layers: int, bidirectional: bool, bias: bool, dropout: float,
                 options: Tuple[float, ...] = (), resets: bool = False, cell_states: bool = False) -> None:
        super().__init__(create(lib.varlstm_rnn_create, context.pointer, cell, input_size, hidden_size, num_layers),
                         lib.varlstm_rnn_destroy, context)
        for key, value in ((Key.DTYPE, dtype_code("input", dtype)), (Key.BIDIRECTIONAL, bidirectional),
                           (Key.BIAS, bias), (Key.PROJ_SIZE, proj_size), (Key.RESETS, resets),
                           (Key.CELL_STATES, cell_states), (Key.ADD_DPARAMS, False)):
            set_value(lib.varlstm_rnn_set_i64, self.pointer, key, int(value))
        set_value(lib.varlstm_rnn_set_f64, self.pointer, Key.DROPOUT, dropout)
        for key, value in zip(OPTIONS, options):
            if key in _INTEGERS:
                set_value(lib.varlstm_rnn_set_i64, self.pointer, key, int(value))
            else:
                set_value(lib.varlstm_rnn_set_f64, self.pointer, key, value)
        self.elements = _query(lib.varlstm_rnn_param_count, self.pointer, None)


class Loss(Native):
    """A loss's options. Immutable, as an Rnn is."""

    __slots__ = ()

    def __init__(self, context: "Context", classes: int, ignore_index: int, reduction: str,
                 label_smoothing: float) -> None:
        super().__init__(create(lib.varlstm_loss_create, context.pointer, classes), lib.varlstm_loss_destroy, context)
        for key, value in ((Key.IGNORE_INDEX, ignore_index), (Key.REDUCTION, Reduction[reduction.upper()])):
            set_value(lib.varlstm_loss_set_i64, self.pointer, key, value)
        set_value(lib.varlstm_loss_set_f64, self.pointer, Key.LABEL_SMOOTHING, label_smoothing)


class Batch(Native):
    """A batch's plan. Setting lengths changes it, so one call has it at a time: `with context.batch(...) as batch`. One
    without a pool keeps its lengths, and any calls may have it."""

    __slots__ = ("bounds", "_pool", "_key")

    def __init__(self, context: "Context", pool: Optional["_BatchPool"], key: tuple) -> None:
        self.bounds, self._pool, self._key = key[:3], pool, key
        super().__init__(create(lib.varlstm_batch_create, context.pointer, *self.bounds), lib.varlstm_batch_destroy,
                         context)

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *unused) -> None:
        if self._pool is not None:
            self._pool.give(self._key, self)


class _BatchPool:
    """Batches that no call has at the moment, by bounds and stream: on a GPU a call of another stream may not change
    one while kernels of this stream still read it."""

    def __init__(self, context: "Context") -> None:
        self._context = context
        self._lock = threading.Lock()
        self._idle: Dict[tuple, List[Batch]] = {}
        self._count = 0

    def take(self, key: tuple) -> Batch:
        with self._lock:
            batches = self._idle.get(key)
            if batches:
                self._count -= 1
                return batches.pop()
        return Batch(self._context, self, key)

    def give(self, key: tuple, batch: Batch) -> None:
        with self._lock:
            dropped = self._idle if self._count >= _MAX_IDLE_BATCHES else None  # destroyed after the lock is free
            if dropped is not None:
                self._idle, self._count = {}, 0
            self._idle.setdefault(key, []).append(batch)
            self._count += 1


class Context(Native):
    """The library's context of a device with one math; lives as long as the process."""

    __slots__ = ("_batches", "_device", "__dict__")

    def __init__(self, backend: Backend, index: int, threads: int = 0, math: Math = Math.F32) -> None:
        super().__init__(create(lib.varlstm_ctx_create, backend, index), lib.varlstm_ctx_destroy)
        lib.varlstm_ctx_set_i64(self.pointer, Key.MATH, math)
        if backend == Backend.HOST:
            lib.varlstm_ctx_set_i64(self.pointer, Key.THREADS, threads)
        self._device = None if backend == Backend.HOST else index
        self._batches = _BatchPool(self)
        self.rnn = functools.lru_cache(maxsize=256)(functools.partial(Rnn, self))
        self.loss = functools.lru_cache(maxsize=256)(functools.partial(Loss, self))
        self._single_tokens = functools.lru_cache(maxsize=_MAX_IDLE_BATCHES)(self._batch_of_single_tokens)
        self.op_workspace = functools.lru_cache(maxsize=4096)(self._op_workspace)

    @property
    def stream(self) -> int:
        """torch's current stream on this device; 0 on the host."""
        return 0 if self._device is None else torch.cuda.current_stream(self._device).cuda_stream

    def batch(self, sizes: Optional[torch.Tensor], from_batch_sizes: bool, batch_size: int, max_len: int,
              rows: int, resets: Optional[torch.Tensor] = None) -> Batch:
        """A batch of `sizes`, int64: the lengths, or a PackedSequence's batch_sizes in the order of its rows. None is
        for sequences of one token each. `resets` [T, B] are of one byte each and contiguous.

        Every length is at most max_len, and their sum at most rows.
        """
        stream = self.stream
        if sizes is None and self._device is not None and torch.cuda.is_current_stream_capturing():
            # A graph sets its lengths itself: nothing is computed yet, so that a call outside it would not find them.
            sizes = torch.ones(batch_size, dtype=torch.int64, device="cpu")
        if sizes is None:
            return self._single_tokens(batch_size, stream)
        on_device = sizes.is_cuda
        bounds = self.bounds(sizes, batch_size, max_len, rows)
        batch = self._batches.take(bounds + (stream,))
        if from_batch_sizes:
            _from_batch_sizes(batch.pointer, sizes.data_ptr(), sizes.numel(), None, stream)
        else:
            _set_lengths(batch.pointer, sizes.data_ptr(), sizes.numel(), _BACKEND if on_device else _HOST, stream)
        if resets is not None and resets.numel():
            lib.varlstm_batch_set_resets(batch.pointer, resets.data_ptr(), resets.numel(), Layout.TIME_MAJOR,
                                         resets.size(0), _BACKEND if resets.is_cuda else _HOST, stream)
        return batch

    @staticmethod
    def bounds(sizes: Optional[torch.Tensor], batch_size: int, max_len: int, rows: int) -> Bounds:
        """Those of the batch that `batch` gives."""
        if sizes is None or sizes.is_cuda:
            return batch_size, max_len, rows
        return _rounded(batch_size, max_len, rows)

    def _batch_of_single_tokens(self, batch_size: int, stream: int) -> Batch:
        """Its lengths are set once, when it is made, for the calls of one stream."""
        batch = Batch(self, None, (batch_size, 1, batch_size))
        lengths = torch.ones(batch_size, dtype=torch.int64, device="cpu")
        _set_lengths(batch.pointer, lengths.data_ptr(), batch_size, _HOST, stream)
        return batch

    def _op_workspace(self, op: Op, dtype: int, rows: int, a: int, b: int) -> int:
        return _query(lib.varlstm_op_workspace, self.pointer, op, dtype, rows, a, b)


def _power_of_two(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def _rounded(batch_size: int, max_len: int, rows: int) -> Bounds:
    """Bounds of few kinds, so that batches find each other's handles: powers of two, and for rows, which memory goes
    by, steps of an eighth."""
    max_batch, max_len = _power_of_two(batch_size), _power_of_two(max_len)
    step = max(1, _power_of_two(rows) // 16)
    return max_batch, max_len, min(-(-rows // step) * step, max_batch * max_len)


@functools.lru_cache(maxsize=4096)
def rnn_sizes(rnn: Rnn, bounds: Bounds, save: bool) -> Tuple[int, int]:
    """Bytes of workspace and reserve."""
    workspace, reserve = ctypes.c_int64(), ctypes.c_int64()
    lib.varlstm_rnn_sizes(rnn.pointer, *bounds, Mode.SAVE if save else Mode.INFER, ctypes.byref(workspace),
                          ctypes.byref(reserve))
    return workspace.value, reserve.value


@functools.lru_cache(maxsize=None)
def _host_context(threads: int) -> Context:
    return Context(Backend.HOST, 0, threads)


@functools.lru_cache(maxsize=None)
def _cuda_context(index: int, math: Math) -> Context:
    return Context(Backend.CUDA, index, math=math)


def context_of(tensor: torch.Tensor, product: Optional[Product] = None) -> Context:
    """The context of the tensor's device, whose products, if the call has any, are as exact as torch's would be now. On
    the CPU it has as many threads as torch has now: torch.set_num_threads holds from the next call on."""
    if tensor.is_cuda:
        rounds = product is not None and tensor.dtype == torch.float32 and allows_tf32(product)
        return _cuda_context(tensor.device.index, Math.TF32 if rounds else Math.F32)
    if not tensor.is_cpu and not tensor.is_meta:  # on meta there is nothing but sizes
        raise ValueError(f"a tensor is on the device {tensor.device}, and must be on cpu or cuda")
    return _host_context(torch.get_num_threads())


def dtype_code(name: str, dtype: torch.dtype) -> int:
    code = DTYPES.get(dtype)
    if code is None:
        raise TypeError(f"{name} is of {dtype}, and must be of " + ", ".join(map(str, DTYPES)))
    return code


_HAS_AUTOCAST_OF_DEVICE = hasattr(torch, "get_autocast_dtype")  # from torch 2.4 on
# Of any device: one look in place of four, where this torch has it.
_may_autocast = getattr(torch._C, "_is_any_autocast_enabled", lambda: True)


def autocast_dtype(tensor: torch.Tensor) -> Optional[torch.dtype]:
    """The dtype that torch.autocast wants on the tensor's device; None without it, and for float64, which it leaves."""
    if not _may_autocast():
        return None
    device = "cuda" if tensor.is_cuda else "cpu" if tensor.is_cpu else None
    if device is None or tensor.dtype == torch.float64:
        return None
    if _HAS_AUTOCAST_OF_DEVICE:
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
    if device == "cuda":
        return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None
    return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None


def compute_dtype(rows: torch.Tensor, state: Optional[torch.Tensor], keeps_states: bool) -> Optional[torch.dtype]:
    """The dtype that a network computes in under torch.autocast; None without it. On the CPU some of torch's networks,
    those with `keeps_states`, multiply in autocast's dtype alone and have the states, zeros of the input's dtype if there
    are none, in their own: if that is wider, so are their results, and here all of it is."""
    dtype = autocast_dtype(rows)
    if dtype is None or not keeps_states or rows.is_cuda:
        return dtype
    return torch.promote_types(dtype, (rows if state is None else state).dtype)


def scratch(count: int, like: torch.Tensor) -> torch.Tensor:
    """`count` bytes on the device of `like`."""
    return like.new_empty(count, dtype=torch.uint8)


_KEPT_BYTES = 1 << 16  # of each thread
_kept = threading.local()


def workspace(count: int, like: torch.Tensor) -> torch.Tensor:
    """At least `count` bytes on the device of `like`, for one call of the library: on the CPU a small call has the memory
    of the one before it in the same thread."""
    if count > _KEPT_BYTES or like.is_cuda:
        return scratch(count, like)
    try:
        return _kept.memory
    except AttributeError:
        _kept.memory = torch.empty(_KEPT_BYTES, dtype=torch.uint8, device="cpu")
        return _kept.memory


def dense(tensor: Optional[torch.Tensor]) -> Optional[torch.Tensor]:
    """The tensor with its values in memory one after the other, as the library reads them: neither strided nor one of
    those views of torch, as z.conj().imag, whose memory has the other sign."""
    return tensor if tensor is None else tensor.resolve_neg().contiguous()


def addresses(*tensors: Optional[torch.Tensor]) -> List[int]:
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def address(tensor) -> int:
    return 0 if tensor is None else tensor.data_ptr()
