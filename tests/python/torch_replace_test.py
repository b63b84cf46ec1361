"""replace_rnn, replace_lstm and patch: models of torch.nn get varlstm.torch's modules."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import warnings

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import (GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell, _flat, patch, replace_lstm,  # noqa: E402
                           replace_rnn)


def is_flat(module) -> bool:
    params = list(module.parameters())
    return _flat.flat_elements(params) > 0 and all(map(_flat.owns_its_storage, params))


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GRU(4, 6, 2, batch_first=True, dropout=0.1))
        self.tied = self.encoder[1]
        self.decoder = torch.nn.RNN(6, 6, nonlinearity="relu", batch_first=True)
        self.tagger = torch.nn.LSTM(6, 6, batch_first=True)
        self.step = torch.nn.GRUCell(6, 6)
        cells = torch.nn.LSTMCell(6, 6), torch.nn.RNNCell(6, 6, nonlinearity="relu"), self.step
        self.steps = torch.nn.ModuleList(cells)

    def forward(self, x):
        y = self.tagger(self.decoder(self.tied(self.encoder[0](x))[0])[0])[0][:, -1]
        return self.steps[1](self.step(self.steps[0](y)[0]))


def test_replace_rnn() -> None:
    model = Model().eval()
    parameters, x = list(model.parameters()), torch.randn(3, 5, 4)
    expected, text = model(x), repr(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert replace_rnn(model) is model
    assert [type(module) for module in (model.tied, model.decoder, model.tagger)] == [GRU, RNN, LSTM]
    assert model.encoder[1] is model.tied and model.decoder.mode == "RNN_RELU" and not model.tied.training
    assert all(a is b for a, b in zip(model.parameters(), parameters)) and is_flat(model.tied)
    assert [type(module) for module in model.steps] == [LSTMCell, RNNCell, GRUCell]
    assert model.step is model.steps[2] and model.steps[1].nonlinearity == "relu" and not model.step.training
    assert repr(model) == text
    torch.testing.assert_close(model(x), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace_rnn(model)  # again: nothing is left to do
    assert isinstance(replace_rnn(torch.nn.LSTMCell(4, 6)), LSTMCell)


def test_replace_lstm_takes_lstms_alone() -> None:
    model = Model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace_lstm(model)
    assert [type(module) for module in (model.tied, model.decoder, model.tagger)] == [torch.nn.GRU, torch.nn.RNN, LSTM]
    assert type(model.steps[0]) is torch.nn.LSTMCell


def test_what_replace_rnn_leaves() -> None:
    class Other(torch.nn.GRU):
        def forward(self, x, hx=None):
            return super().forward(2 * x, hx)

    class Deeper(Other):
        pass

    class Base(torch.nn.RNNBase):
        pass

    class OtherCell(torch.nn.GRUCell):
        def start(self, batch):
            return torch.zeros(batch, self.hidden_size)

    buffered = torch.nn.RNN(4, 6)
    buffered.register_buffer("scale", torch.ones(1))
    for module, reason in ((Other(4, 6), "a subclass, Other, with forward of its own"),
                           (Deeper(4, 6), "a subclass, Deeper, with forward of its own"),
                           (Base("GRU", 4, 6), "a subclass, Base"),
                           (torch.nn.utils.weight_norm(torch.nn.GRU(4, 6), "weight_hh_l0"), "not its own"),
                           (buffered, "it has buffers or modules"),
                           (OtherCell(4, 6), "a subclass, OtherCell, with start of its own"),
                           (torch.nn.RNNCellBase(4, 6, True, 1), "a subclass, RNNCellBase"),
                           (torch.nn.utils.weight_norm(torch.nn.GRUCell(4, 6), "weight_hh"), "not its own"),
                           (torch.nn.RNNCell(4, 6, nonlinearity="sigmoid"), "nonlinearity = 'sigmoid'"),
                           (torch.nn.LSTMCell(4, 6, dtype=torch.complex64), "weight_ih is of torch.complex64")):
        with pytest.warns(UserWarning, match=f"^replace_rnn leaves in place a.1 .*{reason}"):
            model = replace_rnn(torch.nn.ModuleDict({"a": torch.nn.Sequential(torch.nn.ReLU(), module)}))
        assert model["a"][1] is module
    with pytest.raises(TypeError, match="model is of NoneType, and must be a torch.nn.Module"):
        replace_rnn(None)


def test_one_warning_names_all_that_replace_rnn_leaves() -> None:
    class Other(torch.nn.GRUCell):
        def forward(self, *arguments):
            return super().forward(*arguments)

    model = torch.nn.Sequential(torch.nn.GRU(4, 6, dtype=torch.complex64), Other(6, 6), torch.nn.RNNCell(6, 6))
    with pytest.warns(UserWarning) as caught:
        replace_rnn(model)
    assert [str(warning.message) for warning in caught] == [
        "replace_rnn leaves in place 0 (weight_ih_l0 is of torch.complex64), 1 (it is a subclass, Other, with forward of its own)"]
    assert caught[0].filename == __file__
    assert [type(module) for module in model] == [torch.nn.GRU, Other, RNNCell]


def test_a_model_without_recurrent_modules_is_told() -> None:
    for replace, model in ((replace_rnn, torch.nn.Linear(4, 6)), (replace_lstm, torch.nn.Sequential(torch.nn.GRU(4, 6)))):
        with pytest.warns(UserWarning, match=f"^{replace.__name__} has found nothing to replace in this "
                                             f"{type(model).__name__}$"):
            assert replace(model) is model


def test_a_subclass_that_computes_what_its_base_does_is_replaced() -> None:
    class Wide(torch.nn.LSTM):
        """Twice the units, and other initial values."""

        def __init__(self, size: int) -> None:
            super().__init__(size, 2 * size, batch_first=True)
            self.scale = 3

        def reset_parameters(self) -> None:
            for parameter in self.parameters():
                torch.nn.init.constant_(parameter, 0.1)

        def extra_repr(self) -> str:
            return "wide"

    model, x = torch.nn.Sequential(Wide(4)), torch.randn(2, 3, 4)
    expected, parameters = model(x), list(model.parameters())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace_rnn(model)
    assert type(model[0]) is LSTM and model[0].scale == 3
    assert all(a is b for a, b in zip(model.parameters(), parameters))
    torch.testing.assert_close(model(x), expected)


def test_hooks_go_over() -> None:
    """They are called with the new module, and their handles remove them from it."""
    calls = []
    model, x = torch.nn.Sequential(torch.nn.GRU(4, 6)), torch.randn(2, 3, 4, requires_grad=True)
    handles = [model[0].register_forward_pre_hook(lambda module, inputs: calls.append(("before", module))),
               model[0].register_forward_hook(lambda module, inputs, output: calls.append(("after", module))),
               model[0].register_full_backward_hook(lambda module, *gradients: calls.append(("backward", module))),
               model[0]._register_load_state_dict_pre_hook(lambda module, *rest: calls.append(("load", module)), True)]
    if hasattr(model[0], "_forward_hooks_with_kwargs"):  # torch 2.0
        handles.append(model[0].register_forward_hook(
            lambda module, inputs, named, output: calls.append(("named", module)), with_kwargs=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        replace_rnn(model)
    model(x)[0].sum().backward()
    model.load_state_dict(model.state_dict())
    assert {name for name, _ in calls} == {"before", "after", "backward", "load", "named"} - (
        set() if len(handles) == 5 else {"named"})
    assert all(module is model[0] for _, module in calls) and type(model[0]) is GRU
    calls.clear()
    for handle in handles:
        handle.remove()
    model(x)[0].sum().backward()
    model.load_state_dict(model.state_dict())
    assert calls == []


def test_patch() -> None:
    """What is made inside has this library's modules; afterwards torch's names are torch's again."""
    theirs, torchs_cell = torch.nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True).eval(), torch.nn.GRUCell
    torchs_lstm, x = torch.nn.LSTM, torch.randn(3, 5, 4)
    with pytest.raises(ZeroDivisionError), patch():
        assert (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN) == (LSTM, GRU, RNN)
        assert (torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell) == (LSTMCell, GRUCell, RNNCell)
        ours = torch.nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True).eval()
        replaced = replace_lstm(torch.nn.Sequential(torchs_lstm(4, 6)))
        back = replaced[0].to_torch()
        1 / 0
    assert torch.nn.LSTM is torchs_lstm is torch.nn.modules.LSTM and torch.nn.GRUCell is torchs_cell
    assert type(ours) is type(replaced[0]) is LSTM and type(back) is torchs_lstm
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x))


def test_patches_of_threads_that_leave_in_another_order() -> None:
    torchs, entered, left = torch.nn.LSTM, threading.Event(), threading.Event()

    def second() -> None:
        with patch():
            entered.set()
            left.wait(10)
            seen.append(torch.nn.LSTM)

    seen, thread = [], threading.Thread(target=second)
    with patch(), patch():
        thread.start()
        assert entered.wait(10)
    assert torch.nn.LSTM is LSTM, "the other thread is still inside"
    left.set()
    thread.join()
    assert seen == [LSTM] and torch.nn.LSTM is torchs is torch.nn.modules.LSTM
