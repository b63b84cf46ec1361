"""The options of a cell in varlstm.torch: clips, recurrent dropout and zoneout."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import re

import pytest

torch = pytest.importorskip("torch")

from torch_cases import assert_close  # noqa: E402
from varlstm.torch import GRU, LSTM, RNN, _rnn_op  # noqa: E402

MODULES = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}
LENGTHS = [3, 0, 5, 2]
DRAWN = [("LSTM", {"recurrent_dropout": 0.4}),
         ("LSTM", {"recurrent_dropout": 0.4, "recurrent_dropout_kind": "state", "zoneout_c": 0.3}),
         ("LSTM", {"recurrent_dropout": 0.4, "recurrent_dropout_kind": "candidate", "cell_clip": 0.3}),
         ("LSTM", {"proj_size": 2, "projection_clip": 0.1, "zoneout_h": 0.5}),
         ("GRU", {"recurrent_dropout": 0.4, "recurrent_dropout_kind": "candidate", "zoneout_h": 0.2}),
         ("GRU", {"recurrent_dropout": 0.4, "recurrent_dropout_kind": "state"}),
         ("RNN", {"recurrent_dropout": 0.4, "zoneout_h": 0.5})]


def naive(module: LSTM, x, lengths) -> tuple:
    """One layer of an LSTM in evaluation mode: y, h_n and c_n."""
    w_ih, w_hh, b_ih, b_hh, w_hr = [*module.parameters()]
    p, q = module.zoneout_h, module.zoneout_c
    y, h_n, c_n = x.new_zeros(x.size(0), x.size(1), module.proj_size), [], []
    for b, length in enumerate(lengths):
        h, c = x.new_zeros(module.proj_size), x.new_zeros(module.hidden_size)
        for t in range(length):
            i, f, g, o = (w_ih @ x[t, b] + b_ih + w_hh @ h + b_hh).chunk(4)
            new_c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).clamp(-module.cell_clip, module.cell_clip)
            new_h = (w_hr @ (o.sigmoid() * new_c.tanh())).clamp(-module.projection_clip, module.projection_clip)
            h, c = p * h + (1 - p) * new_h, q * c + (1 - q) * new_c
            y = y.index_put((torch.tensor(t), torch.tensor(b)), h)
        h_n.append(h)
        c_n.append(c)
    return y, torch.stack(h_n)[None], torch.stack(c_n)[None]


def test_evaluation_is_the_formula() -> None:
    torch.manual_seed(1)
    module = LSTM(3, 6, proj_size=4, dtype=torch.float64, cell_clip=0.2, projection_clip=0.1, zoneout_h=0.3,
                  zoneout_c=0.6, recurrent_dropout=0.5).eval()
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    inputs = [x, *module.parameters()]
    y, (h_n, c_n) = module(x, lengths=LENGTHS)
    expected = naive(module, x, LENGTHS)
    weights = [torch.randn_like(one) for one in expected]
    for actual, reference in zip((y, h_n, c_n), expected):
        assert_close(actual, reference, "outputs")
    sums = [sum((w * out).sum() for w, out in zip(weights, outputs)) for outputs in ((y, h_n, c_n), expected)]
    for actual, reference in zip(*(torch.autograd.grad(one, inputs) for one in sums)):
        assert_close(actual, reference, "gradients")


@pytest.mark.parametrize("cell, options", DRAWN)
def test_gradients_in_training(cell: str, options: dict) -> None:
    torch.manual_seed(2)
    module = MODULES[cell](3, 4, 2, bidirectional=True, dtype=torch.float64, **options)
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)

    def run(x, *parameters):
        torch.manual_seed(3)  # the same masks each time
        return module(x, lengths=LENGTHS)[0]

    assert torch.autograd.gradcheck(run, [x, *module.parameters()], fast_mode=True)


@pytest.mark.parametrize("cell, options", DRAWN)
def test_training_draws_and_evaluation_does_not(cell: str, options: dict) -> None:
    torch.manual_seed(4)
    module, x = MODULES[cell](3, 8, **options), torch.randn(5, 4, 3)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])
    again = pickle.loads(pickle.dumps(module))
    assert torch.equal(module(x)[0], again(x)[0]) and repr(again) == repr(module)
    for name in options:
        assert f"{name}={options[name]!r}" in repr(module)


def test_dropout_alone_is_not_in_evaluation() -> None:
    torch.manual_seed(5)
    for kind in ("weights", "state", "candidate"):
        module, plain = LSTM(3, 8, recurrent_dropout=0.5, recurrent_dropout_kind=kind).eval(), LSTM(3, 8)
        plain.load_state_dict(module.state_dict())
        x = torch.randn(5, 4, 3)
        assert torch.equal(module(x)[0], plain(x)[0])


def test_steps_are_evaluation() -> None:
    torch.manual_seed(6)
    module, x = LSTM(3, 8, 2, cell_clip=0.2, zoneout_h=0.3, zoneout_c=0.1).eval(), torch.randn(5, 2, 3)
    h, c = torch.zeros(2, 4, 8), torch.zeros(2, 4, 8)
    steps = torch.stack([module.step(x[t], (h, c), [3, 1]) for t in range(5)])
    y, (h_n, c_n) = module(x)
    assert torch.equal(steps, y) and torch.equal(h[:, [3, 1]], h_n) and torch.equal(c[:, [3, 1]], c_n)


def test_wrong_options_are_named() -> None:
    for options, text in (({"recurrent_dropout": 1.0}, "recurrent_dropout = 1.0"),
                          ({"zoneout_h": -0.1}, "zoneout_h = -0.1"), ({"zoneout_c": float("nan")}, "zoneout_c = nan"),
                          ({"cell_clip": -1.0}, "cell_clip = -1.0"), ({"cell_clip": float("inf")}, "cell_clip = inf"),
                          ({"projection_clip": 1.0}, "projection_clip = 1.0"),
                          ({"recurrent_dropout_kind": "gates"}, "recurrent_dropout_kind = 'gates'")):
        with pytest.raises(ValueError, match=re.escape(text)):
            LSTM(3, 4, **options)
    with pytest.raises(ValueError, match="'candidate' is not supported"):
        RNN(3, 4, recurrent_dropout_kind="candidate")
    for module, kind in ((LSTM(3, 4), "gates"), (GRU(3, 4), None), (RNN(3, 4), "candidate")):
        module.recurrent_dropout_kind = kind  # after the constructor
        with pytest.raises(ValueError, match=f"recurrent_dropout_kind = {kind!r} is not supported, and must be one of"):
            module(torch.randn(2, 3))
    with pytest.raises(TypeError, match="zoneout_c"):
        GRU(3, 4, zoneout_c=0.5)
    with pytest.raises(TypeError, match="zoneout_h = '0.5'"):
        GRU(3, 4, zoneout_h="0.5")
    with pytest.raises(ValueError, match="torch.nn.GRU has no zoneout_h = 0.5"):
        GRU(3, 4, zoneout_h=0.5).to_torch()


def test_an_older_pickle_has_no_options() -> None:
    module, x = GRU(3, 4), torch.randn(5, 2, 3)
    for name in ("cell_clip", "projection_clip", "recurrent_dropout", "recurrent_dropout_kind", "zoneout_h", "zoneout_c"):
        del module.__dict__[name]
    assert module(x)[0].shape == (5, 2, 4) and "clip" not in repr(module)


@pytest.mark.skipif(not _rnn_op.torch.__dict__.get("compile"), reason="this torch has no torch.compile")
def test_compiled_module_has_them() -> None:
    torch.manual_seed(7)
    module, x = GRU(3, 4, zoneout_h=0.5).eval(), torch.randn(5, 2, 3)
    compiled = torch.compile(module, backend="aot_eager")
    assert torch.equal(compiled(x)[0], module(x)[0])
