"""varlstm.torch.CharCnn and conv_max against torch.nn.Embedding, torch.nn.Conv1d and a masked maximum."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import re

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import CharCnn, conv_max  # noqa: E402

ACTIVATIONS = {"none": lambda v: v, "tanh": torch.tanh, "relu": torch.relu}


def theirs(model: CharCnn, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """The same words by torch: characters beyond a word's length are zeros, and leave the maximum alone."""
    own = torch.arange(ids.size(1)) < lengths.unsqueeze(1)
    x = (torch.nn.functional.embedding(ids, model.embedding.weight, model.embedding.padding_idx)
         * own.unsqueeze(-1)).transpose(1, 2)
    vectors = []
    for conv in model.convs:
        v = conv(x).masked_fill(~own.unsqueeze(1), -float("inf"))
        largest = ACTIVATIONS[model.activation](v.amax(2))
        vectors.append(torch.where(lengths.unsqueeze(1) > 0, largest, torch.zeros_like(largest)))
    return torch.cat(vectors, 1)


def ragged(ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    own = torch.arange(ids.size(1)) < lengths.unsqueeze(1)
    return ids[own], torch.nn.functional.pad(lengths.cumsum(0), (1, 0))


def random_case(seed: int) -> tuple[CharCnn, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    number = lambda low, high: int(torch.randint(low, high + 1, ()))  # noqa: E731
    widths = [number(1, 6) for _ in range(number(1, 3))]
    model = CharCnn(number(2, 30), number(1, 12), number(1, 40), widths, list(ACTIVATIONS)[seed % 3],
                    padding_idx=0 if seed % 4 == 0 else None, dtype=torch.float64 if seed % 2 else torch.float32)
    words, max_len = number(1, 60), number(1, 12)
    ids = torch.randint(0, model.embedding.num_embeddings, (words, max_len))
    return model, ids, torch.randint(0 if seed % 3 else 1, max_len + 1, (words,))


@pytest.mark.parametrize("seed", range(120))
def test_as_torch(seed: int) -> None:
    model, ids, lengths = random_case(seed)
    # Some versions of torch pass the gradient of a maximum to every NaN and infinity: the words without a character
    # are left out of torch's side, and checked by themselves.
    kept = lengths > 0
    expected = theirs(model, ids[kept], lengths[kept])
    weights = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * weights).sum(), list(model.parameters())) if kept.any() else None
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5}[expected.dtype]
    for actual in (model(ids, lengths), model(*ragged(ids, lengths)[:1], offsets=ragged(ids, lengths)[1])):
        assert not actual[~kept].any()
        torch.testing.assert_close(actual[kept], expected, rtol=tolerance, atol=tolerance)
        if gradients is None:
            continue
        ours = torch.autograd.grad((actual[kept] * weights).sum(), list(model.parameters()))
        for (name, _), mine, wanted in zip(model.named_parameters(), ours, gradients):
            scale = max(1.0, float(wanted.abs().max()))
            torch.testing.assert_close(mine, wanted, rtol=tolerance, atol=tolerance * scale, msg=name)


def test_leading_dimensions_and_words_without_characters() -> None:
    torch.manual_seed(1)
    model = CharCnn(9, 4, 5, (2, 3), "tanh")
    ids, lengths = torch.randint(0, 9, (2, 3, 6)), torch.tensor([[6, 0, 1], [2, 3, 0]])
    y = model(ids, lengths)
    assert y.shape == (2, 3, 10) == (2, 3, model.out_features)
    assert torch.equal(y.reshape(6, 10), model(ids.reshape(6, 6), lengths.reshape(6)))
    assert model(torch.zeros(0, 6, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)).shape == (0, 10)
    empty = model(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    assert empty.shape == (2, 10) and not empty.any()
    assert model(torch.zeros(0, dtype=torch.int64), offsets=torch.tensor([0, 0, 0])).shape == (2, 10)


def test_parameters_are_those_of_torchs_modules() -> None:
    torch.manual_seed(3)
    embedding = torch.nn.Embedding(9, 4, 0)
    convs = [torch.nn.Conv1d(4, 5, width, padding="same") for width in (3, 5)]
    torch.manual_seed(3)
    model = CharCnn(9, 4, 5, (3, 5), padding_idx=0)
    assert list(model.state_dict()) == ["embedding.weight", "convs.0.weight", "convs.0.bias", "convs.1.weight",
                                        "convs.1.bias"]
    for ours, torchs in zip(model.parameters(), [embedding.weight, *convs[0].parameters(), *convs[1].parameters()]):
        assert torch.equal(ours, torchs)
    other = copy.deepcopy(model)
    other.load_state_dict(model.state_dict())
    assert "activation='none'" in repr(model)


def test_a_frozen_embedding_and_frozen_filters() -> None:
    torch.manual_seed(4)
    model = CharCnn(9, 4, 5, 3)
    ids, lengths = torch.randint(0, 9, (7, 6)), torch.randint(1, 7, (7,))
    model(ids, lengths).sum().backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    for frozen in range(3):
        for k, parameter in enumerate(model.parameters()):
            parameter.grad = None
            parameter.requires_grad_(k != frozen)
        model(ids, lengths).sum().backward()
        for k, parameter in enumerate(model.parameters()):
            assert parameter.grad is None if k == frozen else torch.equal(parameter.grad, expected[k])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_are_float_rounded_once(dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    x, weight, bias = (torch.randn(shape).to(dtype) for shape in ((20, 6), (9, 6, 3), (9,)))
    offsets = torch.tensor([0, 4, 4, 11, 20])
    y = conv_max(x, weight, bias, offsets, "relu")
    assert y.dtype == dtype
    assert torch.equal(y, conv_max(x.float(), weight.float(), bias.float(), offsets, "relu").to(dtype))


def test_gradcheck_and_second_derivatives() -> None:
    torch.manual_seed(6)
    x, weight, bias = (torch.randn(shape, dtype=torch.float64, requires_grad=True)
                       for shape in ((9, 3), (4, 3, 2), (4,)))
    offsets = torch.tensor([1, 4, 4, 8])
    assert torch.autograd.gradcheck(lambda *tensors: conv_max(*tensors, offsets, "tanh"), (x, weight, bias))
    (dx,) = torch.autograd.grad(conv_max(x, weight, bias, offsets).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        dx.sum().backward()


def test_autocast_casts_as_a_convolution() -> None:
    model = CharCnn(9, 4, 5, 3)
    ids, lengths = torch.randint(0, 9, (7, 6)), torch.randint(1, 7, (7,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(ids, lengths)
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert model.convs[0].weight.grad.dtype == torch.float32


@pytest.mark.parametrize("change, error, text", [
    ({"offsets": torch.tensor([0, 5, 3])}, ValueError, "offsets[2] = 3 is smaller than offsets[1] = 5"),
    ({"offsets": torch.tensor([0, 21])}, ValueError, "offsets[1] = 21 is not in 0 ... rows = 20"),
    ({"offsets": torch.tensor([0, 2], dtype=torch.int32)}, TypeError, "offsets is of torch.int32"),
    ({"offsets": torch.zeros(0, dtype=torch.int64)}, ValueError, "offsets is of shape (0,)"),
    ({"input": torch.zeros(20, 5)}, ValueError, "input of shape (20, 5) does not fit weight of shape (9, 6, 3)"),
    ({"weight": torch.zeros(9, 6)}, ValueError, "weight of shape (9, 6)"),
    ({"bias": torch.zeros(8)}, ValueError, "bias is of shape (8,)"),
    ({"bias": torch.zeros(9, dtype=torch.float64)}, ValueError, "bias is of torch.float64"),
    ({"bias": [0.0] * 9}, TypeError, "bias is of list, and must be a tensor"),
    ({"activation": "gelu"}, ValueError, "activation = 'gelu' is not supported"),
])
def test_what_does_not_fit_is_refused(change: dict, error: type, text: str) -> None:
    arguments = {"input": torch.zeros(20, 6), "weight": torch.zeros(9, 6, 3), "bias": torch.zeros(9),
                 "offsets": torch.tensor([0, 20]), "activation": "none", **change}
    with pytest.raises(error, match=re.escape(text)):
        conv_max(**arguments)


def test_wrong_words_are_refused() -> None:
    model = CharCnn(9, 4, 5)
    ids = torch.zeros(3, 6, dtype=torch.int64)
    for arguments, text in (({"lengths": torch.tensor([1, 7, 2])}, "lengths[1] = 7 is not in 0 ... 6"),
                            ({"lengths": torch.tensor([1, 2, -1])}, "lengths[2] = -1 is not in 0 ... 6"),
                            ({"lengths": torch.tensor([1, 2])}, "lengths is of shape (2,), and must be (3,)"),
                            ({}, "one of lengths"), ({"offsets": torch.tensor([0, 1])}, "ids is of shape (3, 6)")):
        with pytest.raises(ValueError, match=re.escape(text)):
            model(ids, **arguments)
    for arguments, text in (((9, 4, 0), "filters = 0"), ((9, 4, 5, ()), "widths is empty"),
                            ((9, 4, 5, (3, 0)), "widths = 0"), ((9, 4, 5, 3, "gelu"), "activation = 'gelu'"),
                            ((9, 4, 5, 3, "none", 9), "padding_idx = 9 is not in -9 ... 8")):
        with pytest.raises(ValueError, match=re.escape(text)):
            CharCnn(*arguments)


def test_wrong_ids_and_lengths_are_refused() -> None:
    model = CharCnn(9, 4, 5)
    ids, lengths = torch.tensor([[0, 8, 9], [-1, 3, -7]]), torch.tensor([3, 1])
    for arguments, error, text in ((([1, 2], lengths), TypeError, "ids is of list"),
                                   ((ids.double(), lengths), TypeError, "ids is of torch.float64, and must be"),
                                   ((ids, lengths / 2), TypeError, "lengths is of torch.float32, and must be"),
                                   ((ids, lengths), IndexError, "ids holds -1, which is not in 0 ... 8"),
                                   ((ids[:1], lengths[:1]), IndexError, "ids holds 9, which is not in 0 ... 8"),
                                   ((ids[0], None, torch.tensor([0, 3])), IndexError, "ids holds 9, which")):
        with pytest.raises(error, match=re.escape(text)):
            model(*arguments)
    # What is behind a word's length is padding, whatever it is.
    assert torch.equal(model(ids, torch.tensor([2, 0])), model(ids.clamp(0, 8), torch.tensor([2, 0])))
