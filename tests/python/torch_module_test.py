"""varlstm.torch.LSTM as a module: parameters, state_dict, copies, moves, and replace_lstm."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect
import io
import pickle
import warnings

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import LSTM, replace_lstm  # noqa: E402
from varlstm.torch import _flat  # noqa: E402

OPTIONS = [{}, {"num_layers": 3, "bidirectional": True}, {"bias": False}, {"batch_first": True},
           {"num_layers": 2, "dropout": 0.3}, {"num_layers": 2, "bidirectional": True, "proj_size": 3}]


def is_flat(lstm: LSTM) -> bool:
    """Whether a call reads the parameters where they lie; each has a storage of its own nevertheless."""
    params = list(lstm.parameters())
    return _flat.flat_elements(params) > 0 and all(map(_flat.owns_its_storage, params))


def pair(**options) -> tuple:
    theirs, ours = torch.nn.LSTM(4, 6, **options), LSTM(4, 6, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_signature() -> None:
    assert str(inspect.signature(LSTM.__init__)).replace("'", "") == (
        "(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False, "
        "dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device=None, dtype=None, *, "
        "cell_clip: float = 0.0, projection_clip: float = 0.0, recurrent_dropout: float = 0.0, "
        "recurrent_dropout_kind: str = weights, zoneout_h: float = 0.0, zoneout_c: float = 0.0) -> None")


def test_torchs_arguments_in_torchs_order() -> None:
    arguments = (4, 6, 2, False, True, 0.25, True, 0, "cpu", torch.float64)
    for count in range(2, len(arguments) + 1):
        theirs, ours = torch.nn.LSTM(*arguments[:count]), LSTM(*arguments[:count])
        assert repr(ours) == repr(theirs) and ours.weight_ih_l0.dtype == theirs.weight_ih_l0.dtype
        assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    for proj_size in (0, 2):
        assert repr(LSTM(3, 4, proj_size=proj_size)) == repr(torch.nn.LSTM(3, 4, proj_size=proj_size))


@pytest.mark.parametrize("options", OPTIONS)
def test_same_parameters_from_the_same_seed(options: dict) -> None:
    torch.manual_seed(7)
    theirs = torch.nn.LSTM(4, 6, **options)
    after = torch.rand(1)
    torch.manual_seed(7)
    ours = LSTM(4, 6, **options)
    assert torch.equal(torch.rand(1), after)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for (name, expected), (ours_name, actual) in zip(theirs.named_parameters(), ours.named_parameters()):
        assert ours_name == name and torch.equal(actual, expected)
    assert is_flat(ours)


@pytest.mark.parametrize("options", OPTIONS)
def test_state_dict_both_ways(options: dict) -> None:
    theirs, ours = pair(**options)
    assert is_flat(ours)
    back = torch.nn.LSTM(4, 6, **options)
    assert not back.load_state_dict(ours.state_dict(), strict=True).missing_keys
    assert all(torch.equal(a, b) for a, b in zip(back.parameters(), theirs.parameters()))
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    back.load_state_dict(torch.load(file))
    wrong = dict(theirs.state_dict(), extra=torch.zeros(1))
    with pytest.raises(RuntimeError, match="extra"):
        ours.load_state_dict(wrong)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_compute_the_same_and_are_flat(copied) -> None:
    _, ours = pair(num_layers=2, bidirectional=True)
    x = torch.randn(5, 3, 4)
    other = copied(ours)
    assert is_flat(other) and torch.equal(other(x)[0], ours(x)[0])
    with torch.no_grad():
        other.weight_hh_l1 += 1
    assert not torch.equal(other(x)[0], ours(x)[0])


def test_conversions_keep_parameters_flat() -> None:
    theirs, ours = pair(num_layers=2)
    x = torch.randn(5, 3, 4)
    for convert in (lambda m: m.double(), lambda m: m.to(torch.float32), lambda m: m.bfloat16(), lambda m: m.half()):
        ours = convert(ours)
        assert is_flat(ours)
        y, _ = ours(x.to(ours.weight_ih_l0.dtype))
        torch.testing.assert_close(y.float(), theirs(x)[0], rtol=0, atol=0.02)
    assert ours.to_empty(device="meta").weight_ih_l0.is_meta


def test_parameters_in_separate_places_are_copied() -> None:
    theirs, ours = pair(num_layers=2)
    x = torch.randn(5, 3, 4)
    for name, parameter in list(ours.named_parameters()):
        setattr(ours, name, torch.nn.Parameter(parameter.detach().clone()))
    assert not is_flat(ours)
    for module in (theirs, ours):
        module(x)[0].square().sum().backward()
    for expected, actual in zip(theirs.parameters(), ours.parameters()):
        torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-5, atol=1e-5)
    ours.flatten_parameters()
    assert is_flat(ours)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_parameters_of_other_shapes_are_refused() -> None:
    """The same number of elements, too: the library reads them one after the other, without shapes."""
    for name, shape, text in (("weight_hh_l0", (24, 7), r"weight_hh_l0 is of shape \(24, 7\), and must be \(24, 6\)"),
                              ("weight_ih_l0", (4, 24), r"weight_ih_l0 is of shape \(4, 24\), and must be \(24, 4\)"),
                              ("weight_ih_l1_reverse", (12, 24), r"must be \(24, 12\)"),
                              ("bias_hh_l1", (24, 1), r"bias_hh_l1 is of shape \(24, 1\), and must be \(24,\)")):
        ours = LSTM(4, 6, 2, bidirectional=True)
        setattr(ours, name, torch.nn.Parameter(torch.zeros(shape)))
        with pytest.raises(ValueError, match=text):
            ours(torch.randn(5, 3, 4))
    deep = LSTM(4, 6, 12)  # layers of two digits
    assert deep(torch.randn(5, 3, 4))[1][0].shape == (12, 3, 6)
    deep.weight_ih_l10 = torch.nn.Parameter(torch.zeros(24, 4))
    with pytest.raises(ValueError, match=r"weight_ih_l10 is of shape \(24, 4\), and must be \(24, 6\)"):
        deep(torch.randn(5, 3, 4))
    _, ours = pair()
    ours.bias_ih_l0 = None
    with pytest.raises(TypeError, match="bias_ih_l0 is of NoneType, and must be a tensor"):
        ours(torch.randn(5, 3, 4))
    _, ours = pair()
    ours.num_layers = 2
    with pytest.raises(ValueError, match="the parameters have 288 elements, this LSTM has 528"):
        ours(torch.randn(5, 3, 4))


def test_parameters_may_be_plain_tensors_of_a_graph() -> None:
    """As weight dropout does it: a parameter makes way for a tensor that depends on another."""
    _, ours = pair()
    raw = ours.weight_hh_l0
    del ours._parameters["weight_hh_l0"]
    ours.weight_hh_l0 = raw * 0.5
    ours(torch.randn(5, 3, 4))[0].sum().backward()
    assert raw.grad.any()


def test_shared_memory_stays_shared() -> None:
    """Other processes know it, and their steps are seen: each call reads the parameters anew."""
    theirs, ours = pair()
    ours.share_memory().flatten_parameters()
    assert all(parameter.is_shared() for parameter in ours.parameters())
    x = torch.randn(5, 3, 4)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    for module in (theirs, ours):
        memory = module.weight_hh_l0.detach().numpy()  # written past torch, as another process does it
        memory *= 0.5
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


def test_optimiser_steps_go_through_the_flat_buffer() -> None:
    theirs, ours = pair(num_layers=2)
    x = torch.randn(5, 3, 4)
    for module in (theirs, ours):
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            module(x)[0].square().sum().backward()
            optimizer.step()
    assert is_flat(ours)
    for expected, actual in zip(theirs.parameters(), ours.parameters()):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LSTM(4, 6, 2, batch_first=True, dropout=0.1))
        self.tied = self.encoder[1]
        self.left = torch.nn.LSTM(4, 6, 2, dtype=torch.complex64)


def test_replace_lstm() -> None:
    model = Model().eval()
    model.encoder[1].bias_ih_l0.requires_grad_(False)
    parameters, theirs, x = list(model.parameters()), model.tied, torch.randn(3, 5, 4)
    expected = theirs(x)[0]
    with pytest.warns(UserWarning, match="replace_lstm leaves in place left .weight_ih_l0 is of torch.complex64"):
        assert replace_lstm(model) is model
    ours = model.encoder[1]
    assert isinstance(ours, LSTM) and model.tied is ours and isinstance(model.left, torch.nn.LSTM)
    assert all(a is b for a, b in zip(model.parameters(), parameters)) and is_flat(ours)
    assert not ours.bias_ih_l0.requires_grad and not ours.training
    assert repr(ours) == repr(theirs)
    torch.testing.assert_close(ours(x)[0], expected)
    torch.testing.assert_close(theirs(x)[0], expected)  # the one that was swapped shares them, and works on
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.left = None
        replace_lstm(model)
    assert model.tied is ours


def test_replace_lstm_of_the_model_itself_and_of_what_it_leaves() -> None:
    assert isinstance(replace_lstm(torch.nn.LSTM(4, 6)), LSTM)

    class Other(torch.nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0]

    parametrized = torch.nn.utils.weight_norm(torch.nn.LSTM(4, 6), "weight_hh_l0")
    buffered, nested = torch.nn.LSTM(4, 6), torch.nn.LSTM(4, 6)
    buffered.register_buffer("scale", torch.ones(1))
    nested.norm = torch.nn.LayerNorm(6)
    for module, reason in ((Other(4, 6), "a subclass, Other"), (parametrized, "not its own"),
                           (buffered, "it has buffers or modules"), (nested, "it has buffers or modules"),
                           (torch.nn.LSTM(4, 6, dtype=torch.complex64), "weight_ih_l0 is of torch.complex64")):
        with pytest.warns(UserWarning, match=reason):
            assert replace_lstm(module) is module
    for model in (None, torch.nn.LSTM):
        with pytest.raises(TypeError, match="model is of .*, and must be a torch.nn.Module"):
            replace_lstm(model)
