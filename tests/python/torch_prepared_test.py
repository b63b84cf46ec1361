"""varlstm.torch.prepared_weights: the same bits, weights arranged once, and again after a change that autograd sees."""
# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

import varlstm.torch
from varlstm.torch import prepared as under_test


@pytest.fixture
def arranged(monkeypatch):
    """How often weights are arranged."""
    made = []

    class Counting(under_test._Prepared):
        def __init__(self, *arguments):
            made.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(under_test, "_Prepared", Counting)
    return made


def module_of(cell, dtype=torch.float32, **options):
    torch.manual_seed(5)
    return getattr(varlstm.torch, cell)(7, 20, dtype=dtype, **options)


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_same_bits_with_weights_arranged_once(arranged, cell, steps, dtype):
    module = module_of(cell, dtype, num_layers=2, bidirectional=True)
    x = torch.randn(steps, 3, 7, dtype=dtype)
    with torch.no_grad():
        expected = module(x)[0]
        with varlstm.torch.prepared_weights():
            for _ in range(3):
                assert torch.equal(module(x)[0], expected)
        assert len(arranged) == 1
        assert torch.equal(module(x)[0], expected)
    assert len(arranged) == 1, "outside the context"


def test_changes_in_place_are_seen(arranged):
    module, x = module_of("LSTM"), torch.randn(4, 2, 7)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.5)

    def check():
        with torch.no_grad():
            inside = module(x)[0]
        assert torch.equal(inside, module(x)[0].detach()), "a forward that saves reads the parameters themselves"

    with varlstm.torch.prepared_weights():
        check()
        module(x)[0].sum().backward()
        optimiser.step()
        check()
        assert len(arranged) == 2
        module.load_state_dict(module_of("LSTM", bias=True).state_dict())
        check()
        with torch.no_grad():
            module.bias_hh_l0[3] += 1  # the last one in memory, of which one element changes
        check()
        assert len(arranged) == 4
        module.weight_hh_l0.data = torch.zeros_like(module.weight_hh_l0)  # not in its place any more
        check()
        module.flatten_parameters()  # in other memory
        check()
        module.double()
        x = x.double()
        check()


def fused_optimisers():
    """By name, those of this torch whose fused form computes on the CPU."""
    found = []
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        param = torch.nn.Parameter(torch.ones(2))
        param.grad = torch.ones(2)
        try:
            getattr(torch.optim, name)([param], lr=0.5, fused=True).step()
        except (TypeError, RuntimeError):
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("name", fused_optimisers())
def test_a_fused_optimisers_step_is_seen(name):
    module, x = module_of("LSTM"), torch.randn(4, 2, 7)
    optimiser = getattr(torch.optim, name)(module.parameters(), lr=0.5, fused=True)
    with varlstm.torch.prepared_weights():
        for _ in range(2):
            with torch.no_grad():
                before = module(x)[0]
            module(x)[0].sum().backward()
            optimiser.step()
            with torch.no_grad():
                after = module(x)[0]
            assert torch.equal(after, module(x)[0].detach()) and not torch.equal(after, before)


def test_parameters_that_move_away_and_back(arranged):
    module, x = module_of("LSTM"), torch.randn(4, 2, 7)
    with torch.no_grad(), varlstm.torch.prepared_weights():
        before = module(x)[0]
        module.half()
        module.float()
        after = module(x)[0]
    assert len(arranged) == 2
    assert torch.equal(after, module(x)[0].detach()) and not torch.equal(after, before)


def test_steps(arranged):
    module, slots = module_of("LSTM"), torch.tensor([2, 0])
    x, tables = torch.randn(2, 7), [(torch.zeros(1, 3, 20), torch.zeros(1, 3, 20)) for _ in range(2)]
    with varlstm.torch.prepared_weights():
        for _ in range(3):
            y = module.step(x, tables[0], slots)
    for _ in range(3):
        expected = module.step(x, tables[1], slots)
    assert torch.equal(y, expected) and torch.equal(tables[0][1], tables[1][1])
    assert len(arranged) == 1


def test_where_it_changes_nothing(arranged):
    with torch.inference_mode():
        of_inference = module_of("GRU")
    module, apart, x = module_of("LSTM"), module_of("GRU"), torch.randn(2, 2, 7)
    apart.weight_hh_l0.data = apart.weight_hh_l0.clone()
    with torch.no_grad(), varlstm.torch.prepared_weights(), varlstm.torch.prepared_weights():
        of_inference(x)
        assert torch.equal(apart(x)[0], apart(x)[0])
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(module(x)[0], module(x)[0])
    assert not arranged


def test_many_modules_and_the_end_of_a_context(arranged, monkeypatch):
    monkeypatch.setattr(under_test, "_MOST", 2)
    modules, x = [module_of("GRU") for _ in range(3)], torch.randn(2, 2, 7)
    with torch.no_grad():
        with pytest.raises(KeyError), varlstm.torch.prepared_weights():
            for module in modules + modules:
                module(x)
            raise KeyError
        assert under_test._kept.entries is None
    assert len(arranged) == 6
