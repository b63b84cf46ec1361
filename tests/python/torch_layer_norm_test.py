"""varlstm.torch.LayerNormLSTM and LayerNormGRU: against a loop of torch operations, and as modules."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect
import pickle
import re
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch_cases import Case, assert_close  # noqa: E402
from varlstm.torch import GRU, LSTM, LayerNormGRU, LayerNormLSTM, _flat, _rnn_op, replace_rnn  # noqa: E402

MODULES = {"LSTM": (LayerNormLSTM, LSTM), "GRU": (LayerNormGRU, GRU)}
LENGTHS = [3, 0, 5, 2]


@pytest.mark.parametrize("first", range(0, 100, 50))
@pytest.mark.parametrize("name", MODULES)
def test_random_configurations(name: str, first: int) -> None:
    """In float each step may multiply the rounding by one over a row's deviation: double tells how much that is."""
    for seed in range(first, first + 50):
        case = Case(seed, f"LAYER_NORM_{name}", projected=name == "LSTM" and seed % 3 == 0)
        case.check() if case.dtype == torch.float64 else case.check_in_double()


def test_the_arguments_are_those_of_the_base() -> None:
    for ours, base in MODULES.values():
        expected = dict(inspect.signature(base.__init__).parameters)
        expected.pop("reset_after", None)
        assert dict(inspect.signature(ours.__init__).parameters) == expected
    with pytest.raises(TypeError, match="reset_after"):
        LayerNormGRU(3, 4, reset_after=False)
    assert repr(LayerNormLSTM(3, 4, 2, zoneout_c=0.5)) == "LayerNormLSTM(3, 4, num_layers=2, zoneout_c=0.5)"


@pytest.mark.parametrize("name", MODULES)
def test_parameters(name: str) -> None:
    ours, base = MODULES[name]
    options = {"num_layers": 2, "bidirectional": True, **({"proj_size": 2} if name == "LSTM" else {})}
    torch.manual_seed(1)
    module = ours(3, 4, **options)
    torch.manual_seed(1)
    plain = base(3, 4, **options)
    rest = ["norm_ih", "norm_hh"] + (["norm_c", "norm_c_bias"] if name == "LSTM" else [])
    weights = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] + (["weight_hr"] if name == "LSTM" else [])
    assert list(module.state_dict()) == [kind + place for place in ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
                                         for kind in weights + rest]
    for key, value in plain.state_dict().items():
        assert torch.equal(module.state_dict()[key], value)

    def check_norms() -> None:
        for key, value in module.named_parameters():
            if key.startswith("norm"):
                assert torch.all(value == (0 if key.startswith("norm_c_bias") else 1))

    check_norms()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.3)
    module.reset_parameters()
    check_norms()
    assert module.weight_ih_l0.std() > 0 and ours(3, 4, dtype=torch.float64).norm_hh_l0.dtype == torch.float64
    for one in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module)), module.double()):
        params = list(one.parameters())
        assert _flat.flat_elements(params) and all(map(_flat.owns_its_storage, params))
        assert one.all_weights == [[getattr(one, key) for key in keys] for keys in one._all_weights]
        assert sum(map(len, one.all_weights)) == len(params)


@pytest.mark.parametrize("name", MODULES)
def test_without_bias_and_with_options(name: str) -> None:
    """That the options reach the library, whose own tests go through all of them."""
    torch.manual_seed(2)
    own = {"cell_clip": 0.4, "zoneout_c": 0.2} if name == "LSTM" else {}
    module = MODULES[name][0](3, 8, 2, bias=False, dtype=torch.float64, zoneout_h=0.3, recurrent_dropout=0.2,
                              recurrent_dropout_kind="candidate", **own)
    x = torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)

    def run(x, *parameters):
        torch.manual_seed(3)
        return module(x, lengths=LENGTHS)[0]

    assert torch.autograd.gradcheck(run, [x, *module.parameters()], fast_mode=True)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], pickle.loads(pickle.dumps(module))(x)[0])


@pytest.mark.parametrize("name", MODULES)
def test_resets_are_pieces_and_steps_are_tokens(name: str) -> None:
    torch.manual_seed(4)
    module = MODULES[name][0](3, 6, 2).eval()
    x, resets = torch.randn(7, 2, 3), torch.zeros(7, 2, dtype=torch.bool)
    resets[3] = True
    y, _ = module(x, resets=resets)
    assert torch.equal(y, torch.cat([module(x[:3])[0], module(x[3:])[0]]))
    tables = [torch.zeros(2, 4, 6) for _ in range(2 if name == "LSTM" else 1)]
    state = tuple(tables) if name == "LSTM" else tables[0]
    steps = torch.stack([module.step(x[t], state, [3, 1]) for t in range(7)])
    y, after = module(x)
    assert torch.equal(steps, y)
    for table, last in zip(tables, after if name == "LSTM" else (after,)):
        assert torch.equal(table[:, [3, 1]], last)


@pytest.mark.parametrize("name", MODULES)
def test_bfloat16_and_autocast(name: str) -> None:
    torch.manual_seed(5)
    module, x = MODULES[name][0](3, 8), torch.randn(5, 2, 3)
    expected = module(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = module(x)[0]
    assert y.dtype == (torch.bfloat16 if name == "LSTM" else torch.float32)  # as the modules without normalisation
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.05)
    y = copy.deepcopy(module).bfloat16()(x.bfloat16())[0]
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0, atol=0.05)


@pytest.mark.parametrize("name", MODULES)
def test_torch_has_no_such_module(name: str) -> None:
    module = MODULES[name][0](3, 4)
    text = f"torch.nn has no {name} with layer normalisation, which LayerNorm{name} is"
    with pytest.raises(ValueError, match=re.escape(text)):
        module.to_torch()
    with pytest.raises(ValueError, match=f"to make a LayerNorm{name} from"):
        MODULES[name][0].from_torch(getattr(torch.nn, name)(3, 4))
    model = torch.nn.Sequential(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert replace_rnn(model)[0] is module and replace_rnn(module) is module
    module.norm_hh_l0 = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match=re.escape("norm_hh_l0 is of shape (3,), and must be (")):
        module(torch.randn(5, 2, 3))


@pytest.mark.skipif(not hasattr(torch.library, "custom_op"), reason="torch.compile of operations is of torch 2.4")
@pytest.mark.parametrize("name", MODULES)
def test_compiled(name: str) -> None:
    torch._dynamo.reset()  # else the sizes of the other module's parameters make those of this one dynamic
    torch.manual_seed(6)
    module, x = MODULES[name][0](3, 4), torch.randn(5, 2, 3)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    y, expected = compiled(x, lengths=torch.tensor([5, 2]))[0], module(x, lengths=torch.tensor([5, 2]))[0]
    assert torch.equal(y, expected)
    gradients = [torch.autograd.grad(out.square().sum(), list(module.parameters())) for out in (y, expected)]
    for actual, reference in zip(*gradients):
        assert_close(actual, reference, "gradients")
