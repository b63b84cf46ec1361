"""What turns modules into programs, and what wraps or converts a model. Larger cases are in tests of their own:
checkpoints of other packages, DistributedDataParallel, fully_shard, AOTInductor, torch.compile, forked processes."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import io
import os

import pytest
import torch

from .table import Kind, assert_close, differs, refused, results, same, tensors_of

X = torch.randn(5, 3, 4)


@same("torch.jit.trace, by torch's own operation")
def trace(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2)
    traced = torch.jit.trace(ours.eval(), (X,), check_trace=False)
    assert_close(traced(-X), theirs(-X))


@refused("torch.jit.trace of what torch's module does not have", ValueError, "lengths cannot be in a program of torch.jit.trace")
def trace_lengths(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    torch.jit.trace(lambda x: ours(x, lengths=[5, 0, 3])[0], (X,), check_trace=False)


@same("torch.onnx.export of both forms, by torch's own operation (python.torch_transforms runs the results)", since=(2, 4))
def onnx(kind: Kind) -> None:
    pytest.importorskip("onnx")  # which torch imports
    file, ours = io.BytesIO(), kind.ours(4, 6).eval()
    torch.onnx.export(ours, (X,), file, dynamo=False)
    assert kind.name.encode() in file.getvalue()


@same("torch.jit.script, which takes to_torch by itself")
def script(kind: Kind) -> None:
    ours = kind.ours(4, 6, 2, bidirectional=True).eval()
    scripted = torch.jit.script(torch.nn.Sequential(copy.deepcopy(ours)))
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    assert_close(torch.jit.load(file)(X), ours(X))


@refused("torch.fx.symbolic_trace", TypeError, "is_leaf_module of its Tracer must be True for this module")
def fx(kind: Kind) -> None:
    torch.fx.symbolic_trace(torch.nn.Sequential(kind.ours(4, 6)))


@same("torch.fx with the network as a leaf")
def fx_leaf(kind: Kind) -> None:
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name) -> bool:
            return isinstance(module, torch.nn.RNNBase) or super().is_leaf_module(module, name)

    theirs, ours = kind.pair()
    model = torch.nn.Sequential(ours)
    assert_close(torch.fx.GraphModule(model, Tracer().trace(model))(X), theirs(X))


@same("torch.export", since=(2, 4))
def export(kind: Kind) -> None:
    ours = kind.ours(4, 6)
    assert_close(torch.export.export(ours, (X,)).module()(X + 1), ours(X + 1))


@same("a call on the device meta", since=(2, 4))
def meta(kind: Kind) -> None:
    theirs, ours = kind.pair(num_layers=2, device="meta")
    for x in (X.to("meta"), X[:, 0].to("meta")):
        expected, actual = tensors_of(theirs(x)), tensors_of(ours(x))
        assert [(t.shape, t.dtype, t.device) for t in actual] == [(t.shape, t.dtype, t.device) for t in expected]
    ours(X.to("meta"))[0].sum().backward()
    assert ours.weight_hh_l0.grad.is_meta


@same("FakeTensorMode", since=(2, 4))
def fake_tensors(kind: Kind) -> None:
    from torch._subclasses import FakeTensorMode
    with FakeTensorMode():
        theirs, ours = kind.theirs(4, 6, 2), kind.ours(4, 6, 2)
        x = torch.zeros(5, 3, 4)
        assert [t.shape for t in tensors_of(ours(x))] == [t.shape for t in tensors_of(theirs(x))]
        ours(x)[0].sum().backward()
        assert ours.weight_hh_l0.grad.shape == ours.weight_hh_l0.shape


@same("torch.compile", since=(2, 4), kinds=("GRU",))
def compile_(kind: Kind) -> None:
    torch._dynamo.reset()
    theirs, ours = kind.pair()
    compiled = torch.compile(ours, backend="aot_eager", fullgraph=True)
    assert_close(results(compiled, X), results(theirs, X))


@differs("torch.ao.quantization.quantize_dynamic", "left as it is; it replaces what to_torch() gives")
def quantize(kind: Kind) -> None:
    model = torch.nn.Sequential(kind.ours(4, 6))
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM, torch.nn.GRU}, torch.qint8)
    assert type(quantized[0]) is kind.ours
    assert_close(quantized(X), model(X))


@same("torch.nn.DataParallel without a GPU")
def data_parallel(kind: Kind) -> None:
    theirs, ours = kind.pair()
    assert_close(torch.nn.DataParallel(ours)(X), torch.nn.DataParallel(theirs)(X))


@same("_replicate_for_data_parallel")
def replicate(kind: Kind) -> None:
    theirs, ours = kind.pair()
    found = []
    for module in (theirs, ours):
        replica = module._replicate_for_data_parallel()
        for name, parameter in module.named_parameters():
            setattr(replica, name, parameter * 1)
        found.append(replica(X))
    assert_close(found[1], found[0])


@same("a child of os.fork computes", kinds=("LSTM",))
def fork(kind: Kind) -> None:
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("fork_test forks under the sanitizers, without Python")
    theirs, ours = kind.pair()
    expected = theirs(X)[0].detach()
    assert_close(ours(X)[0], expected)
    child = os.fork()
    if child == 0:
        with torch.no_grad():
            os._exit(0 if torch.allclose(ours(X)[0], expected, atol=1e-5) else 1)
    assert os.waitpid(child, 0)[1] == 0


@same("modes of torch: __torch_function__ and __torch_dispatch__", since=(2, 0))
def modes(kind: Kind) -> None:
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    class Functions(TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), named=None):
            return function(*arguments, **(named or {}))

    class Dispatch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            return function(*arguments, **(named or {}))

    theirs, ours = kind.pair()
    for mode in (Functions(), Dispatch()):
        with mode:
            assert_close(results(ours, X), results(theirs, X))


@same("torch.profiler names the operation")
def profiler(kind: Kind) -> None:
    with torch.autograd.profiler.profile() as profile:
        kind.ours(4, 6)(X)
    assert any(event.key.startswith("varlstm_") for event in profile.key_averages())
