"""Arrays of any library as arguments: what is read in place, and what is refused, with the argument's name."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import array
import ctypes
import re
import subprocess
import sys
import types

import numpy as np
import pytest

import varlstm
from varlstm import InvalidArgumentError, _dlpack


class DLPackOnly:
    """Hides everything of an array but DLPack, and counts who holds a capsule of it."""

    def __init__(self, source):
        self.source = source

    def __dlpack__(self, stream=None):
        return self.source.__dlpack__()

    def __dlpack_device__(self):
        return self.source.__dlpack_device__()


class VersionedDLPack(DLPackOnly):
    """The same with versioned capsules, which this NumPy does not make."""

    def __init__(self, source: np.ndarray, flags: int = 0, version=_dlpack.VERSION):
        super().__init__(source)
        self.flags, self.version = flags, version

    def __dlpack__(self, *, stream=None, max_version=None):
        assert max_version == _dlpack.VERSION
        address = self.source.ctypes.data
        capsule = _dlpack.make(address, 2, 8 * self.source.itemsize, self.source.shape, (1, 0), True, self.source)
        managed = list(_dlpack._exported.values())[-1][0]
        managed.flags, (managed.major, managed.minor) = self.flags, self.version
        return capsule


class CudaInterfaceOnly:
    """Hides everything of a DeviceArray but the CUDA array interface; `changes` stand in for its entries."""

    def __init__(self, source: varlstm.DeviceArray, **changes):
        self.__cuda_array_interface__ = {**source.__cuda_array_interface__, **changes}
        self.source = source


@pytest.fixture
def host() -> varlstm.Context:
    with varlstm.Context("host") as made:
        yield made


def softmax_of(context, x, **options):
    """log_softmax_forward takes one array of any rows; [[0, 0]] gives log(1/2) twice."""
    return context.numpy(varlstm.log_softmax_forward(context, x, **options))


ZEROS = np.zeros((3, 2), np.float32)
HALVES = np.full((3, 2), np.log(0.5), np.float32)


# --- what is read

@pytest.mark.parametrize("source", [
    ZEROS,
    memoryview(ZEROS),
    memoryview(array.array("f", [0] * 6)).cast("B").cast("f", (3, 2)),
    ((ctypes.c_float * 2) * 3)(),
    DLPackOnly(ZEROS),
    VersionedDLPack(ZEROS),
    VersionedDLPack(ZEROS, _dlpack.READ_ONLY),
    np.zeros((6, 2), np.float32)[2:5],
    np.zeros((1, 2), np.float32)[::-1].repeat(3, 0),
], ids=["numpy", "memoryview", "array.array", "ctypes", "dlpack", "dlpack_versioned", "dlpack_read_only", "slice",
        "copy"])
def test_every_kind_of_array_is_read(host, source):
    np.testing.assert_allclose(softmax_of(host, source), HALVES)


def test_one_row_may_have_any_stride(host):
    np.testing.assert_allclose(softmax_of(host, np.zeros((4, 2), np.float32)[::4]), HALVES[:1])


def test_a_read_only_array_is_an_input(host):
    frozen = ZEROS.copy()
    frozen.flags.writeable = False
    np.testing.assert_allclose(softmax_of(host, frozen), HALVES)


def test_no_rows(host):
    assert softmax_of(host, np.zeros((0, 2), np.float32)).shape == (0, 2)


def test_bytes_are_an_input_where_dtype_and_shape_are_known(host):
    lstm = varlstm.Rnn(host, 1, 1)
    params = np.linspace(-1, 1, lstm.elements, dtype=np.float32)
    batch, x = varlstm.Batch(host, [2]), np.ones((2, 1), np.float32)
    expected = lstm.forward(batch, params, x).y
    for raw in (params.tobytes(), bytearray(params.tobytes())):
        np.testing.assert_array_equal(lstm.forward(batch, raw, x).y, expected)
    with pytest.raises(InvalidArgumentError, match=r"params: 63 bytes, wanted 64: elements of the flat"):
        lstm.forward(batch, params.tobytes()[1:], x)
    with pytest.raises(InvalidArgumentError, match="y: read-only, and the call writes to it"):
        lstm.forward(batch, params, x, y=bytes(8))


def test_outputs_are_written_in_place(host):
    for out in (np.ones((3, 2), np.float32), DLPackOnly(np.ones((3, 2), np.float32)),
                memoryview(np.ones((3, 2), np.float32))):
        assert varlstm.log_softmax_forward(host, ZEROS, y=out) is out
        np.testing.assert_allclose(np.asarray(getattr(out, "source", out)), HALVES)


def test_the_capsule_is_given_back(host):
    source = np.zeros((3, 2), np.float32)
    counted = VersionedDLPack(source)
    before = len(_dlpack._exported)
    softmax_of(host, counted)
    assert len(_dlpack._exported) == before


def test_uint16_is_bf16_where_that_is_said(host):
    bits = np.full((3, 2), 0x3F80, np.uint16)  # ones
    y = varlstm.log_softmax_forward(host, bits, dtype="bf16")
    halves = varlstm.convert(host, y, "f32", from_dtype="bf16")
    np.testing.assert_allclose(halves, HALVES, rtol=2 ** -8)
    with pytest.raises(InvalidArgumentError, match='x: dtype uint16, .*uint16 is read as bfloat16 where dtype="bf16"'):
        varlstm.log_softmax_forward(host, bits)


def test_ml_dtypes_bfloat16(host):
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    y = varlstm.log_softmax_forward(host, np.ones((3, 2), bfloat16))
    assert y.dtype == bfloat16
    np.testing.assert_allclose(y.astype(np.float32), HALVES, rtol=2 ** -8)


def test_torch_tensors(host):
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64):
        np.testing.assert_allclose(softmax_of(host, torch.zeros(3, 2, dtype=dtype)), HALVES, rtol=1e-6)
    ones = torch.ones(3, 2, dtype=torch.bfloat16)
    y = varlstm.log_softmax_forward(host, ones, y=torch.empty_like(ones))
    torch.testing.assert_close(y.float(), torch.from_numpy(HALVES), rtol=2 ** -8, atol=0)
    with pytest.raises(InvalidArgumentError, match="x: .*requires? grad.*detach"):
        softmax_of(host, torch.zeros(3, 2, requires_grad=True))
    with pytest.raises(InvalidArgumentError, match="^x: "):
        softmax_of(host, torch.zeros(3, 2, device="meta"))


# --- what is refused, for any argument alike

UNALIGNED = np.frombuffer(bytes(25), np.uint8)[1:].view(np.float32).reshape(3, 2)


@pytest.mark.parametrize("source, text", [
    (np.zeros((3, 2), np.int32), "x: dtype int32, wanted one of the library's"),
    (np.zeros((3, 2), ">f4"), "x: dtype of format '>f', wanted one of the library's"),
    (np.zeros((3, 2), bool), "x: dtype bool8, wanted one of the library's"),
    (np.zeros((3, 2), np.complex64), "x: dtype of format 'Zf', wanted one of the library's"),
    (np.zeros(3, np.float32), "x: shape (3,), wanted 2 dimensions: rows by classes"),
    (np.float32(1), "x: shape (), wanted 2 dimensions: rows by classes"),
    (np.zeros((2, 3), np.float32).T, "x: not contiguous, dimension 1 of shape (3, 2) has stride 3 instead of 1; pass"),
    (np.zeros((3, 4), np.float32)[:, ::2], "x: not contiguous, dimension 1 of shape (3, 2) has stride 2 instead of 1"),
    (np.zeros((3, 4), np.float32)[:, :2], "x: not contiguous, dimension 0 of shape (3, 2) has stride 4 instead of 2"),
    (np.broadcast_to(np.zeros(2, np.float32), (3, 2)), "x: not contiguous, dimension 0 of shape (3, 2) is broadcast "
                                                       "(stride 0)"),
    (ZEROS[::-1], "x: not contiguous, dimension 0 of shape (3, 2) runs backwards (negative stride)"),
    (DLPackOnly(np.zeros((2, 3), np.float32).T), "x: not contiguous, dimension 1 of shape (3, 2)"),
    (UNALIGNED, "is not aligned to the 4 bytes of float32"),
    (VersionedDLPack(ZEROS, version=(2, 0)), "x: a tensor of DLPack 2.0, wanted version 1"),
    (None, "x: None, wanted an array"),
    ([[0.0, 0.0]], "x: list has neither the buffer protocol, nor DLPack, nor the CUDA array interface"),
    ("text", "x: str has neither the buffer protocol"),
    (bytes(24), "x: shape (24,), wanted 2 dimensions"),
    (types.SimpleNamespace(__cuda_array_interface__={"shape": (3, 2), "typestr": "<f4", "data": (4096, False),
                                                     "version": 3, "stream": None}), "x: on cuda:0, wanted host:0"),
], ids=lambda value: value.split(",")[0][:30] if isinstance(value, str) else type(value).__name__)
def test_a_wrong_array_is_refused(host, source, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        varlstm.log_softmax_forward(host, source)


def test_shapes_and_dtypes_that_do_not_fit_together(host):
    batch, lstm = varlstm.Batch(host, [4, 3]), varlstm.Rnn(host, 3, 5)
    params, x = np.zeros(lstm.elements, np.float32), np.zeros((7, 3), np.float32)
    for arguments, text in [
            ({"x": np.zeros((3, 4), np.float32)}, "x: shape (3, 4), wanted (7, 3): N rows of the batch by I"),
            ({"x": x.astype(np.float64)}, "x: dtype float64, wanted float32"),
            ({"params": params[:-1]}, f"params: shape ({lstm.elements - 1},), wanted ({lstm.elements},): elements"),
            ({"h0": np.zeros((1, 3, 5), np.float32)}, "h0: shape (1, 3, 5), wanted (1, 2, 5): L*D layers and"),
            ({"y": np.zeros((7, 5))}, "y: dtype float64, wanted float32"),
            ({"h_n": np.zeros((1, 2, 5, 1), np.float32)}, "h_n: shape (1, 2, 5, 1), wanted (1, 2, 5)"),
            ({"c_n": np.broadcast_to(np.float32(0), (1, 2, 5))}, "c_n: not contiguous, dimension 2 of shape (1, 2, 5)"),
    ]:
        with pytest.raises(InvalidArgumentError, match=re.escape(text)):
            lstm.forward(**{"batch": batch, "params": params, "x": x, **arguments})
    with pytest.raises(InvalidArgumentError, match="ids: dtype int32, wanted int64"):
        varlstm.embedding_forward(host, x, np.zeros(4, np.int32))
    with pytest.raises(InvalidArgumentError, match=r"y .* overlaps table"):
        varlstm.embedding_forward(host, x, np.zeros(7, np.int64), y=x)


# --- the back end's own arrays, and NumPy by DLPack

def test_a_device_array_holds_what_was_put_there(context):
    values = np.arange(6, dtype=np.float64).reshape(3, 2)
    made = varlstm.DeviceArray(context, (3, 2), varlstm.Dtype.F64).copy_from(values)
    values[:] = 0  # the copy is done
    assert (made.shape, made.ndim, made.size, made.nbytes, len(made)) == ((3, 2), 2, 6, 48, 3)
    np.testing.assert_array_equal(made.numpy(), np.arange(6).reshape(3, 2))
    assert made.tobytes() == np.arange(6, dtype=np.float64).tobytes()
    with pytest.raises(InvalidArgumentError, match=r"source: float32 of shape \(3, 2\) on host, wanted float64"):
        made.copy_from(ZEROS)


def test_numpy_reads_an_array_of_the_host_by_dlpack_and_keeps_it_alive(host):
    made = varlstm.DeviceArray(host, (3, 2), varlstm.Dtype.F32).copy_from(ZEROS + 7)
    before = len(_dlpack._exported)
    view = np.from_dlpack(made)
    address = made.data
    del made
    assert view.ctypes.data == address and len(_dlpack._exported) == before + 1
    np.testing.assert_array_equal(view, ZEROS + 7)
    del view
    assert len(_dlpack._exported) == before


def test_a_capsule_that_nobody_takes_is_freed(context):
    made = varlstm.DeviceArray(context, (3, 2), varlstm.Dtype.F32)
    before = len(_dlpack._exported)
    for version in (None, (0, 8), (1, 0), (1, 1)):
        capsule = made.__dlpack__(max_version=version)
        assert ("dltensor_versioned" in repr(capsule)) == (version is not None and version >= (1, 0))
        assert len(_dlpack._exported) == before + 1
        del capsule
    assert len(_dlpack._exported) == before
    with pytest.raises(BufferError):
        made.__dlpack__(copy=True)


def test_every_dtype_travels_by_dlpack(context):
    for dtype in varlstm.Dtype:
        capsule = varlstm.DeviceArray(context, (2, 3), dtype).__dlpack__(max_version=(1, 0))
        tensor, readonly = _dlpack.read(capsule)
        assert (_dlpack.dtype_name(tensor.dtype), tensor.shape[:2], tensor.strides[:2], readonly) == (
            {"F32": "float32", "F64": "float64", "BF16": "bfloat16", "F16": "float16", "I64": "int64"}[dtype.name],
            [2, 3], [3, 1], False)


def test_the_package_works_without_numpy_and_torch(backend):
    program = f"""
import array, sys
sys.modules.update(numpy=None, torch=None)
import varlstm
with varlstm.Context("{backend}") as context:
    batch, lstm = varlstm.Batch(context, array.array("q", [2, 1])), varlstm.Rnn(context, 1, 1)
    params = context.array(array.array("f", [0.5] * lstm.elements))
    x = context.array(memoryview(array.array("f", [1, 2, 3])).cast("B").cast("f", (3, 1)))
    y = lstm.forward(batch, params, x).y
    print(type(y).__name__, y.shape, list(array.array("f", y.tobytes())), list(batch.cu_seqlens))
"""
    run = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    with varlstm.Context(backend) as context:
        lstm, batch = varlstm.Rnn(context, 1, 1), varlstm.Batch(context, [2, 1])
        y = lstm.forward(batch, context.array(np.full(lstm.elements, 0.5, np.float32)),
                         context.array(np.array([[1], [2], [3]], np.float32))).y
        assert run.stdout == f"DeviceArray (3, 1) {context.numpy(y).ravel().tolist()} [0, 2, 3]\n"


# --- the device's memory

@pytest.fixture
def cuda(backend) -> varlstm.Context:
    if backend != "cuda":
        pytest.skip("needs the CUDA back end")
    with varlstm.Context("cuda") as made:
        yield made


def test_device_memory_is_read_by_every_way(cuda):
    zeros = cuda.array(ZEROS)
    assert isinstance(zeros, varlstm.DeviceArray)
    for source in (zeros, CudaInterfaceOnly(zeros), CudaInterfaceOnly(zeros, version=2, stream=None), DLPackOnly(zeros),
                   CudaInterfaceOnly(zeros, strides=(8, 4))):
        np.testing.assert_allclose(softmax_of(cuda, source), HALVES)
    out = CudaInterfaceOnly(cuda.zeros((3, 2)))
    assert varlstm.log_softmax_forward(cuda, zeros, y=out) is out
    np.testing.assert_allclose(out.source.numpy(), HALVES)


@pytest.mark.parametrize("changes, text", [
    ({"typestr": "<i4"}, "x: dtype int32, wanted one of the library's"),
    ({"typestr": ">f4"}, "x: dtype of typestr '>f4', wanted one of the library's"),
    ({"shape": (6,)}, "x: shape (6,), wanted 2 dimensions"),
    ({"strides": (0, 4)}, "x: not contiguous, dimension 0 of shape (3, 2) is broadcast (stride 0)"),
    ({"strides": (-8, 4)}, "x: not contiguous, dimension 0 of shape (3, 2) runs backwards"),
    ({"mask": object()}, "x: an array with a mask"),
])
def test_a_wrong_cuda_array_is_refused(cuda, changes, text):
    with pytest.raises(InvalidArgumentError, match=re.escape(text)):
        varlstm.log_softmax_forward(cuda, CudaInterfaceOnly(cuda.array(ZEROS), **changes))


def test_a_read_only_cuda_array_is_no_output(cuda):
    out = CudaInterfaceOnly(cuda.zeros((3, 2)))
    out.__cuda_array_interface__["data"] = (out.source.data, True)
    with pytest.raises(InvalidArgumentError, match="y: read-only"):
        varlstm.log_softmax_forward(cuda, cuda.array(ZEROS), y=out)


def test_memory_of_the_other_kind_is_refused(cuda, host):
    for source in (ZEROS, DLPackOnly(ZEROS)):
        with pytest.raises(InvalidArgumentError, match="x: on host:0, wanted cuda:0, .*Context.array copies it"):
            varlstm.log_softmax_forward(cuda, source)
    for source in (cuda.array(ZEROS), CudaInterfaceOnly(cuda.array(ZEROS)), DLPackOnly(cuda.array(ZEROS))):
        with pytest.raises(InvalidArgumentError, match="x: on cuda:0, wanted host:0"):
            varlstm.log_softmax_forward(host, source)


def test_the_stream_is_that_of_the_arrays(cuda):
    """Nothing runs on these streams: the call ends before, or is asked for the number alone."""
    from varlstm._call import Call
    x = cuda.array(ZEROS)
    assert Call(cuda, x=x).stream == 0
    assert Call(cuda, x=CudaInterfaceOnly(x, stream=1)).stream == 0
    assert Call(cuda, x=CudaInterfaceOnly(x, stream=2)).stream == 2
    assert Call(cuda, x=CudaInterfaceOnly(x, stream=4096), y=None, z=False).stream == 4096
    assert Call(cuda, types.SimpleNamespace(cuda_stream=77), x=DLPackOnly(x)).stream == 77
    assert Call(cuda, types.SimpleNamespace(ptr=78), x=DLPackOnly(x)).stream == 78
    lengths = cuda.array([3, 1])
    batch = varlstm.Batch(cuda, CudaInterfaceOnly(lengths, stream=1), max_batch=2, max_len=3)
    batch.stream = 79
    assert Call(cuda, batch=batch, x=CudaInterfaceOnly(x, stream=79)).stream == 79
    with pytest.raises(InvalidArgumentError, match="stream: .* .x on 0x0, batch on 0x4f.: name the call's"):
        Call(cuda, batch=batch, x=x)
    with pytest.raises(InvalidArgumentError, match="stream: the arrays are on different ones .x on 0x2, y on 0x3"):
        Call(cuda, x=CudaInterfaceOnly(x, stream=2), y=CudaInterfaceOnly(x, stream=3))
    with pytest.raises(InvalidArgumentError, match="stream: 'text' is neither a number"):
        Call(cuda, "text", x=x)


def test_the_host_has_no_streams(host):
    with pytest.raises(InvalidArgumentError, match="stream = 0x7 must be NULL on the host"):
        varlstm.log_softmax_forward(host, ZEROS, stream=7)
