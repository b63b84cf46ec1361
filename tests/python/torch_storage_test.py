"""Storages of varlstm.torch.LSTM's parameters and gradients: what checkpoints are made of; and that a call reads the
parameters as they are, whoever wrote to them."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import inspect
import io
import pickle

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils import parameters_to_vector, vector_to_parameters  # noqa: E402

from varlstm.torch import LSTM, replace_lstm  # noqa: E402

OPTIONS = {"num_layers": 2, "bidirectional": True}


def storage_of(tensor):
    return tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()  # from torch 2.0 on


def assert_own_storages(tensors: list) -> None:
    """Each tensor fills a storage that no other one has, as what finds tied tensors by their storages expects it."""
    seen = set()
    for tensor in tensors:
        storage = storage_of(tensor)
        assert storage.nbytes() == tensor.numel() * tensor.element_size() and tensor.storage_offset() == 0
        seen.add(storage.data_ptr())
        file = io.BytesIO()
        torch.save(tensor.detach(), file)
        assert len(file.getvalue()) < storage.nbytes() + 4096
    assert len(seen) == len(tensors)


def step(lstm: LSTM, x) -> None:
    lstm(x)[0].square().mean().backward()


def models() -> dict:
    """LSTMs by the way they were made, each with weights of some 100 KiB."""
    fresh = LSTM(16, 32, **OPTIONS)
    loaded = LSTM(16, 32, **OPTIONS)
    loaded.load_state_dict(fresh.state_dict())
    return {"fresh": fresh, "loaded": loaded, "deepcopy": copy.deepcopy(fresh),
            "pickle": pickle.loads(pickle.dumps(fresh)), "half": copy.deepcopy(fresh).half(),
            "bfloat16 and back": copy.deepcopy(fresh).bfloat16().float(), "double": copy.deepcopy(fresh).double(),
            "replaced": replace_lstm(torch.nn.LSTM(16, 32, **OPTIONS)), "flattened": flattened(copy.deepcopy(fresh))}


def flattened(lstm: LSTM) -> LSTM:
    """From views of one buffer, as cuDNN lays out the parameters of torch.nn.LSTM."""
    params = list(lstm.parameters())
    for param, piece in zip(params, parameters_to_vector(params).detach().split([p.numel() for p in params])):
        param.data = piece.view(param.shape)
    lstm.flatten_parameters()
    return lstm


@pytest.mark.parametrize("way", ["fresh", "loaded", "deepcopy", "pickle", "half", "bfloat16 and back", "double",
                                 "replaced", "flattened"])
def test_every_parameter_and_gradient_has_a_storage_of_its_own(way: str) -> None:
    lstm = models()[way]
    assert_own_storages(list(lstm.parameters()))
    assert_own_storages(list(lstm.state_dict().values()))
    x = torch.randn(5, 3, 16, dtype=lstm.weight_ih_l0.dtype)
    step(lstm, x)
    assert_own_storages([parameter.grad for parameter in lstm.parameters()])
    step(lstm, x)  # the gradients add up in place
    torch.optim.SGD(lstm.parameters(), lr=0.1).step()
    assert_own_storages([tensor for p in lstm.parameters() for tensor in (p.data, p.grad)])


def test_storages_cannot_be_resized() -> None:
    lstm, x = LSTM(3, 4), torch.randn(5, 2, 3)
    expected = lstm(x)[0].detach()
    step(lstm, x)
    for tensor in (lstm.weight_hh_l0.detach(), lstm.weight_hh_l0.grad):
        with pytest.raises(RuntimeError, match="not resizable"):
            storage_of(tensor).resize_(0)
    assert torch.equal(lstm(x)[0], expected)
    kept = lstm.weight_hh_l0.detach().clone()
    lstm.weight_hh_l0.data = torch.empty(0)  # instead: the memory's place is taken, and given back
    lstm.weight_hh_l0.data = kept
    assert torch.equal(lstm(x)[0], expected)


def test_gradients_of_different_steps_share_no_memory() -> None:
    lstm, x = LSTM(3, 4), torch.randn(5, 2, 3)
    step(lstm, x)
    kept = [parameter.grad for parameter in lstm.parameters()]
    copies = [gradient.clone() for gradient in kept]
    lstm.zero_grad(set_to_none=True)
    step(lstm, 2 * x)
    assert all(torch.equal(a, b) for a, b in zip(kept, copies))
    assert not torch.equal(lstm.weight_ih_l0.grad, kept[0])


def test_one_gradient_outlives_the_others() -> None:
    lstm, x = LSTM(3, 64), torch.randn(5, 2, 3)
    step(lstm, x)
    bias, expected = lstm.bias_hh_l0.grad, lstm.bias_hh_l0.grad.clone()
    lstm.zero_grad(set_to_none=True)
    del lstm
    step(LSTM(3, 64), x)  # would take the memory, had it been given back
    assert torch.equal(bias, expected)


def test_gradients_add_up() -> None:
    theirs = torch.nn.LSTM(4, 6, **OPTIONS)
    ours = replace_lstm(copy.deepcopy(theirs))
    batches = [torch.randn(5, 3, 4) for _ in range(3)]
    for set_to_none in (False, True):
        for lstm in (theirs, ours):
            lstm.zero_grad(set_to_none=set_to_none)
            for x in batches:
                step(lstm, x)
        for expected, actual in zip(theirs.parameters(), ours.parameters()):
            torch.testing.assert_close(actual.grad, expected.grad, rtol=1e-5, atol=1e-6)


def put_new_parameters(lstm) -> None:
    for name, parameter in list(lstm.named_parameters()):
        setattr(lstm, name, torch.nn.Parameter(parameter.detach() + 0.1))


def assign_state_dict(lstm) -> None:
    lstm.load_state_dict({name: value + 0.1 for name, value in lstm.state_dict().items()}, assign=True)


def assign_data(lstm) -> None:
    """Twice, so that the second memory may be the one that the first assignment gave back."""
    for _ in range(2):
        for parameter in lstm.parameters():
            parameter.data = parameter.data + 0.1


def write_past_torch(lstm) -> None:
    for parameter in lstm.parameters():
        memory = parameter.detach().numpy()
        memory += 0.1


def step_of(optimizer_class, **options):
    def change(lstm) -> None:
        for parameter in lstm.parameters():
            parameter.grad = torch.full_like(parameter, 0.5)
        optimizer_class(lstm.parameters(), **options).step()
    return change


@torch.no_grad()
def add_in_place(lstm) -> None:
    for parameter in lstm.parameters():
        parameter += 0.1


CHANGES = {
    "in place": add_in_place,
    "data, in place": lambda lstm: [parameter.data.add_(0.1) for parameter in lstm.parameters()],
    "data, assigned": assign_data,
    "one tensor's data": lambda lstm: lstm.bias_hh_l1.data.mul_(3),
    "past torch": write_past_torch,
    "vector_to_parameters": lambda lstm: vector_to_parameters(parameters_to_vector(lstm.parameters()).detach() * 2,
                                                              lstm.parameters()),
    "new parameters": put_new_parameters,
    "load_state_dict": lambda lstm: lstm.load_state_dict({k: v * 2 for k, v in lstm.state_dict().items()}),
    "SGD": step_of(torch.optim.SGD, lr=1.0), "Adam, foreach": step_of(torch.optim.Adam, lr=0.1, foreach=True),
    "Adam, one by one": step_of(torch.optim.Adam, lr=0.1, foreach=False),
    "reset_parameters": lambda lstm: (torch.manual_seed(5), lstm.reset_parameters()),
}
if "assign" in inspect.signature(torch.nn.Module.load_state_dict).parameters:  # from torch 2.1 on
    CHANGES["load_state_dict, assign"] = assign_state_dict


@pytest.mark.parametrize("way", CHANGES)
def test_a_call_reads_the_parameters_as_they_are(way: str) -> None:
    """In double: the changes make weights so large that two floats' roundings grow apart."""
    theirs = torch.nn.LSTM(4, 6, **OPTIONS, dtype=torch.float64)
    x = torch.randn(5, 3, 4, dtype=torch.float64)
    for placed in (False, True):  # laid out by the module, and put in place by others
        ours = replace_lstm(copy.deepcopy(theirs))
        if placed:
            put_new_parameters(ours)
        for training in (True, False):
            with torch.set_grad_enabled(training):
                before = ours(x)[0].detach()
                CHANGES[way](ours)
                reference = torch.nn.LSTM(4, 6, **OPTIONS, dtype=torch.float64)
                reference.load_state_dict(ours.state_dict())
                torch.testing.assert_close(ours(x)[0], reference(x)[0], rtol=1e-10, atol=1e-10)
            if way != "reset_parameters" or training:
                assert not torch.allclose(ours(x)[0].detach(), before)


def test_tied_parameters_train_as_torchs() -> None:
    """Two modules with one Parameter, and one with the same Parameter in both layers."""
    def tied(lstm_class):
        torch.manual_seed(3)
        first, second = lstm_class(6, 6, 2), lstm_class(6, 6)
        second.weight_hh_l0 = first.weight_hh_l0
        first.bias_ih_l1 = first.bias_ih_l0
        model = torch.nn.ModuleList([first, second])
        return copy.deepcopy(model).double().float()

    x = torch.randn(5, 3, 6)
    theirs, ours = tied(torch.nn.LSTM), tied(LSTM)
    for model in (theirs, ours):
        first, second = model
        assert second.weight_hh_l0 is first.weight_hh_l0 and first.bias_ih_l1 is first.bias_ih_l0
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(4):
            optimizer.zero_grad()
            second(first(x)[0])[0].square().mean().backward()
            optimizer.step()
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    for expected, actual in zip(theirs.parameters(), ours.parameters()):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = LSTM(16, 32, **OPTIONS)
        self.linear = torch.nn.Linear(64, 5)


def assert_equal_models(a: Model, b: Model) -> None:
    assert [name for name, _ in a.named_parameters()] == [name for name, _ in b.named_parameters()]
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters()))


@pytest.mark.parametrize("trained", [False, True])
def test_checkpoints_hold_every_tensor(trained: bool, tmp_path) -> None:
    model, back = Model(), Model()
    if trained:
        step(model.lstm, torch.randn(5, 3, 16))
        torch.optim.Adam([p for p in model.parameters() if p.grad is not None]).step()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    back.load_state_dict(torch.load(tmp_path / "model.pt"))
    assert_equal_models(back, model)

    safetensors = pytest.importorskip("safetensors.torch")
    back = Model()
    safetensors.save_model(model, str(tmp_path / "model.safetensors"))
    assert set(safetensors.load_file(str(tmp_path / "model.safetensors"))) == set(model.state_dict())
    safetensors.load_model(back, str(tmp_path / "model.safetensors"))
    assert_equal_models(back, model)

    accelerate = pytest.importorskip("accelerate")
    back = Model()
    accelerate.Accelerator(cpu=True).save_model(model, str(tmp_path / "accelerate"))
    assert set(safetensors.load_file(str(tmp_path / "accelerate" / "model.safetensors"))) == set(model.state_dict())
    accelerate.load_checkpoint_in_model(back, str(tmp_path / "accelerate"))
    assert_equal_models(back, model)
