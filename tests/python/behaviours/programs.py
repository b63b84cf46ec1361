"""What turns modules into programs, and what wraps or converts a model."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import io

import torch

from .table import Kind, assert_close, differs, refused, results, same, tensors_of

X = torch.randn(5, 3, 4)


@refused("torch.jit.trace", RuntimeError, "trace what module.to_torch() gives")
def trace(kind: Kind) -> None:
    torch.jit.trace(kind.ours(4, 6), (X,), check_trace=False)


@same("torch.jit.trace of what to_torch gives")
def trace_torchs(kind: Kind) -> None:
    ours = kind.ours(4, 6).eval()
    assert_close(torch.jit.trace(ours.to_torch(), (X,), check_trace=False)(X), ours(X))


@same("torch.jit.script, which takes to_torch by itself")
def script(kind: Kind) -> None:
    ours = kind.ours(4, 6, 2, bidirectional=True).eval()
    scripted = torch.jit.script(torch.nn.Sequential(copy.deepcopy(ours)))
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    assert_close(torch.jit.load(file)(X), ours(X))


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
