"""varlstm.torch's operations over memory of the emulated CUDA device, against the same on the host.

A torch without CUDA has no tensor there. DeviceTensor stands for one: its memory is the device's, so that torch itself
may not touch it, and it answers as a CUDA tensor where the operations ask.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import ctypes
import math
import types
from typing import Callable, Iterator

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor  # noqa: E402

from varlstm import _handles, device_count  # noqa: E402
from varlstm._declarations import CopyKind, Key, Math  # noqa: E402
from varlstm._library import lib  # noqa: E402
from varlstm.torch import GRU, LSTM, RNN, _cell_op, _device, _loss_op, _packing_op, _rnn_op  # noqa: E402
from varlstm.torch._math import Product  # noqa: E402

if device_count("cuda") == 0:
    pytest.skip("the library has no CUDA device", allow_module_level=True)

FACTORIES = {Tensor.new_empty: False, Tensor.new_zeros: True, torch.empty_like: False, Tensor.clone: False}


class DeviceTensor(torch.Tensor):
    is_cuda = True
    device = torch.device("cuda", 0)

    @classmethod
    def __torch_function__(cls, function: Callable, types: tuple, arguments: tuple = (), keywords=None):
        keywords = keywords or {}
        if function not in FACTORIES:
            return super().__torch_function__(function, types, arguments, keywords)
        like, *shape = arguments
        shape = tuple(like.shape) if not shape else shape if len(shape) > 1 else shape[0]  # (2, 3) or 2, 3
        made = allocate((shape,) if isinstance(shape, int) else tuple(shape), keywords.get("dtype", like.dtype),
                        FACTORIES[function])
        return copy_to(made, like, CopyKind.WITHIN_BACKEND) if function is Tensor.clone else made


def context() -> int:
    return _device._cuda_context(0, Math.F32).pointer


def allocate(shape: tuple, dtype: torch.dtype, zero: bool = False) -> DeviceTensor:
    """Never freed: the process is this test's."""
    size = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
    if size == 0:
        return torch.empty(shape, dtype=dtype).as_subclass(DeviceTensor)
    pointer = _handles.create(lib.varlstm_alloc, context(), size)
    if zero:
        lib.varlstm_zero(context(), pointer, size, None)
    memory = (ctypes.c_byte * size).from_address(pointer)
    return torch.frombuffer(memory, dtype=dtype).view(shape).as_subclass(DeviceTensor)


def copy_to(copy: Tensor, tensor: Tensor, kind: CopyKind) -> Tensor:
    lib.varlstm_copy(context(), copy.data_ptr(), tensor.data_ptr(), tensor.numel() * tensor.element_size(), kind, None)
    return copy


def upload(tensor: Tensor) -> DeviceTensor:
    return copy_to(allocate(tuple(tensor.shape), tensor.dtype), tensor, CopyKind.TO_BACKEND)


def download(tensor: DeviceTensor) -> Tensor:
    return copy_to(torch.empty(tuple(tensor.shape), dtype=tensor.dtype), tensor, CopyKind.TO_HOST)


def assert_close(actual: list, expected: list) -> None:
    for ours, reference in zip(actual, expected):
        assert type(ours) is DeviceTensor and type(reference) is Tensor
        # Sums over the rows in another order: a few roundings of the largest element.
        largest = max(1.0, float(reference.abs().max())) if reference.numel() else 1.0
        torch.testing.assert_close(download(ours), reference, rtol=1e-5, atol=4e-6 * largest)


@pytest.fixture(autouse=True)
def default_stream(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=0))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


@contextlib.contextmanager
def setting(owner, name: str, value) -> Iterator[None]:
    """One of torch's settings: not all can be deleted, as pytest's monkeypatch would."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    """As close to the host as float32 is; torch's own setting for networks is TF32."""
    with setting(torch.backends.cudnn, "allow_tf32", False):
        yield


MODULES = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": RNN}
X, STATE = torch.randn(5, 3), torch.randn(6, 8)


class Chain:
    """pack, a network, unpack, and their gradients, over padded input in one place or the other."""

    def __init__(self, cell: str) -> None:
        torch.manual_seed(0)
        self.op = _rnn_op.RNN_OPS[cell]
        self.lengths = torch.tensor([2, 6, 0, 3])
        self.x, self.dy = torch.randn(4, 6, 3), torch.randn(4, 6, 16)
        self.state, self.dh_n = torch.randn(4, 4, 8), torch.randn(4, 4, 8)
        self.params = [parameter.detach() for parameter in MODULES[cell](3, 8, 2, bidirectional=True).parameters()]
        self.cell_states = False

    def run(self, place: Callable, lengths: Tensor, max_len: int, rows: int, resets=None) -> list:
        batch, shape = (lengths, False, 4, max_len), (8, 0, 2, True, 0.3, _device.NO_OPTIONS, self.cell_states)
        state, flat = place(self.state), place(torch.cat([parameter.reshape(-1) for parameter in self.params]))
        pieces = flat.split([parameter.numel() for parameter in self.params])  # as the module lays them out
        params = [piece.view(parameter.shape) for piece, parameter in zip(pieces, self.params)]
        x = _packing_op._pack(place(self.x), *batch, _packing_op.BATCH_FIRST, rows)
        c0 = state if self.op.has_c else None
        flags = None if resets is None else place(resets)
        y, h_n, c_n, c, reserve = self.op.forward(x, batch[0], flags, state, c0, torch.tensor(5), *batch[1:], *shape,
                                                  True, params)
        output = _packing_op._unpack(y, *batch, _packing_op.BATCH_FIRST, 6, 0.0)
        dy = _packing_op._unpack_backward(place(self.dy), *batch, _packing_op.BATCH_FIRST, rows)
        dx, dh0, dc0, dparams = self.op.backward(x, batch[0], flags, state, c0, y, reserve, dy, place(self.dh_n),
                                                 None, dy if self.cell_states else None, *batch[1:], *shape, True, True, self.op.has_c, True, params)
        dx = _packing_op._pack_backward(dx, *batch, _packing_op.BATCH_FIRST, 6)
        # On the device torch's allocator has made each gradient's storage; one of DLPack would be a plain tensor here.
        cell_states = [_packing_op._unpack(c, *batch, _packing_op.BATCH_FIRST, 6, 0.0)] if self.cell_states else []
        return [output, h_n, dx, dh0, *dparams] + ([c_n, dc0] if self.op.has_c else []) + cell_states


@pytest.mark.parametrize("cell", MODULES)
def test_rnn_with_lengths_that_the_host_knows(cell: str) -> None:
    chain = Chain(cell)
    tokens = int(chain.lengths.sum())
    expected = chain.run(lambda tensor: tensor, chain.lengths, 6, tokens)
    assert_close(chain.run(upload, chain.lengths, 6, tokens), expected)


@pytest.mark.parametrize("cell", MODULES)
def test_rnn_with_lengths_that_only_the_device_knows(cell: str) -> None:
    """Rows for the most tokens that there could be, as LSTM.forward makes them for lengths on a GPU."""
    chain = Chain(cell)
    expected = chain.run(lambda tensor: tensor, chain.lengths, 6, int(chain.lengths.sum()))
    assert_close(chain.run(upload, upload(chain.lengths), 6, 4 * 6), expected)


@pytest.mark.parametrize("cell", MODULES)
@pytest.mark.parametrize("device_lengths", [False, True])
def test_rnn_with_resets(cell: str, device_lengths: bool) -> None:
    chain, resets = Chain(cell), torch.rand(6, 4) < 0.4
    tokens = int(chain.lengths.sum())
    expected = chain.run(lambda tensor: tensor, chain.lengths, 6, tokens, resets)
    lengths, rows = (upload(chain.lengths), 4 * 6) if device_lengths else (chain.lengths, tokens)
    assert_close(chain.run(upload, lengths, 6, rows, resets), expected)


@pytest.mark.parametrize("device_lengths", [False, True])
def test_lstm_with_c_of_every_token(device_lengths: bool) -> None:
    chain = Chain("LSTM")
    chain.cell_states = True
    tokens = int(chain.lengths.sum())
    expected = chain.run(lambda tensor: tensor, chain.lengths, 6, tokens)
    lengths, rows = (upload(chain.lengths), 4 * 6) if device_lengths else (chain.lengths, tokens)
    assert_close(chain.run(upload, lengths, 6, rows), expected)


@pytest.mark.parametrize("cell", MODULES)
def test_cells(cell: str) -> None:
    """Two batch sizes in turn: each has lengths of its own that were set once."""
    torch.manual_seed(0)
    op = _cell_op.CELL_OPS[cell]
    params = [parameter.detach() for parameter in MODULES[cell](3, 8).parameters()]

    def run(place: Callable, batch: int) -> list:
        flat = place(torch.cat([parameter.reshape(-1) for parameter in params]))
        pieces = flat.split([parameter.numel() for parameter in params])
        placed = [piece.view(parameter.shape) for piece, parameter in zip(pieces, params)]
        x, h0 = place(X[:batch]), place(STATE[:batch])
        c0 = h0 if op.has_c else None
        h, c, reserve = op.forward(x, h0, c0, True, placed)
        dh = place(STATE[1:batch + 1])
        dx, dh0, dc0, dparams = op.backward(x, h0, c0, h, reserve, dh, dh if op.has_c else None, True, True, op.has_c,
                                            True, placed)
        return [h, dx, dh0, *dparams] + ([c, dc0] if op.has_c else [])

    for batch in (3, 5, 3):
        assert_close(run(upload, batch), run(lambda tensor: tensor, batch))


def test_losses() -> None:
    torch.manual_seed(0)
    logits, x, weight, bias = torch.randn(9, 5), torch.randn(9, 4), torch.randn(5, 4), torch.randn(5)
    target = torch.randint(0, 5, (9,))
    target[3] = -100

    def run(place: Callable) -> list:
        labels, dout = place(target), place(torch.tensor(1.5))
        log_probs = _loss_op._log_softmax(place(logits))
        fused = (place(x), place(weight), place(bias), labels, None)
        loss, lse = _loss_op._linear_cross_entropy(*fused, -100, "mean", 0.1)
        return [*_loss_op._cross_entropy(place(logits), labels, place(bias.abs()), -100, "mean", 0.1, True), log_probs,
                _loss_op._log_softmax_backward(place(logits), log_probs),
                _loss_op._nll_loss(log_probs, labels, None, -100, "sum"),
                _loss_op._nll_loss_backward(dout, labels, None, -100, "sum", 5, torch.float32), loss,
                *_loss_op._linear_cross_entropy_backward(dout, *fused, lse, -100, "mean", 0.1, True, True, True)]

    assert_close(run(upload), run(lambda tensor: tensor))


# --- TF32, as torch's settings allow it

def math_of(product: Product) -> Math:
    used = _device.context_of(upload(X), product)
    return Math(_handles.get_i64(lib.varlstm_ctx_get_i64, used.pointer, Key.MATH))


@pytest.mark.parametrize("allowed", [False, True])
def test_products_follow_torchs_settings(allowed: bool) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with setting(cudnn, "allow_tf32", allowed), setting(matmul, "allow_tf32", not allowed):
        assert math_of(Product.RNN) == (Math.TF32 if allowed else Math.F32)
        assert math_of(Product.MATMUL) == (Math.F32 if allowed else Math.TF32)
        with setting(cudnn, "enabled", False):
            assert math_of(Product.RNN) == math_of(Product.MATMUL)
        for dtype in (torch.float64, torch.bfloat16):
            assert _device.context_of(upload(X.to(dtype)), Product.RNN).pointer == context()
        assert _device.context_of(upload(X)).pointer == context()


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "rnn"), reason="this torch has no fp32_precision")
@pytest.mark.parametrize("precisions", [("tf32", "ieee"), ("ieee", "tf32")])
def test_products_follow_torchs_newer_settings(precisions: tuple) -> None:
    rnn, matmul = torch.backends.cudnn.rnn, torch.backends.cuda.matmul
    with setting(rnn, "fp32_precision", precisions[0]), setting(matmul, "fp32_precision", precisions[1]):
        seen = math_of(Product.RNN), math_of(Product.MATMUL)
    assert seen == tuple(Math.TF32 if precision == "tf32" else Math.F32 for precision in precisions)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_networks_round_to_tf32_where_torch_does(cell: str) -> None:
    """Half an ulp of TF32 is 2^-11: with it the results are off by more than float32 is, and by less than some of it."""
    chain = Chain(cell)
    tokens = int(chain.lengths.sum())
    exact = chain.run(lambda tensor: tensor, chain.lengths, 6, tokens)
    with setting(torch.backends.cudnn, "allow_tf32", True):
        rounded = [download(tensor) for tensor in chain.run(upload, chain.lengths, 6, tokens)]
    worst = max(float((ours - reference).abs().max()) for ours, reference in zip(rounded, exact))
    assert 2e-5 < worst < 2e-2


def test_backward_may_have_another_math_than_forward(monkeypatch) -> None:
    chain = Chain("LSTM")
    tokens = int(chain.lengths.sum())
    exact = chain.run(lambda tensor: tensor, chain.lengths, 6, tokens)
    backward = chain.op.backward

    def in_tf32(*arguments):
        with setting(torch.backends.cudnn, "allow_tf32", True):
            return backward(*arguments)

    monkeypatch.setattr(chain.op, "backward", in_tf32)
    for ours, reference in zip(chain.run(upload, chain.lengths, 6, tokens), exact):
        torch.testing.assert_close(download(ours), reference, rtol=2e-2, atol=2e-2)
