"""pack_padded_sequence, pad_packed_sequence and pack_sequence of varlstm.torch against torch.nn.utils.rnn's."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils import rnn  # noqa: E402

from varlstm.torch import pack_padded_sequence, pack_sequence, pad_packed_sequence  # noqa: E402


def stable(lengths: list) -> list:
    return sorted(range(len(lengths)), key=lambda b: -lengths[b])


def draw(seed: int) -> tuple:
    """Lengths, padded length, feature shape and dtype."""
    dice = random.Random(seed)
    lengths = [dice.randint(1, 9) for _ in range(dice.randint(1, 12))]
    features = dice.choice(((), (1,), (3,), (2, 5)))
    dtype = dice.choice((torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64))
    return lengths, max(lengths) + dice.choice((0, 0, 2)), features, dtype


def some_tensor(shape: tuple, dtype) -> torch.Tensor:
    return torch.randint(-99, 99, shape).to(dtype)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("sort", [False, True])
def test_equals_torch(batch_first: bool, sort: bool) -> None:
    for seed in range(40):
        lengths, steps, features, dtype = draw(seed)
        lengths = sorted(lengths, reverse=True) if sort else lengths
        x = some_tensor(((len(lengths), steps) if batch_first else (steps, len(lengths))) + features, dtype)
        ours = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=sort)
        # torch leaves the order of ties open: sort first, as ours does.
        order = stable(lengths)
        theirs = rnn.pack_padded_sequence(x.index_select(0 if batch_first else 1, torch.tensor(order)),
                                          [lengths[b] for b in order], batch_first)
        assert isinstance(ours, rnn.PackedSequence)
        assert torch.equal(ours.data, theirs.data) and torch.equal(ours.batch_sizes, theirs.batch_sizes)
        if sort:
            assert ours.sorted_indices is None and ours.unsorted_indices is None
        else:
            assert ours.sorted_indices.tolist() == order
            assert ours.unsorted_indices[ours.sorted_indices].tolist() == list(range(len(lengths)))
        # Back, of torch's sequence as of ours.
        for sequence in (ours, rnn.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=sort)):
            expected = rnn.pad_packed_sequence(sequence, batch_first, padding_value=-7.0, total_length=steps + 1)
            actual = pad_packed_sequence(sequence, batch_first, padding_value=-7.0, total_length=steps + 1)
            assert torch.equal(actual[0], expected[0]) and actual[0].dtype == dtype
            assert torch.equal(actual[1], expected[1])


def test_sequences_in_a_tensor_or_a_generator_and_lengths_of_any_kind() -> None:
    x = torch.randn(3, 4, 2)  # as three sequences
    for sequences in (x, iter(x), tuple(x)):
        packed = pack_sequence(sequences)
        assert torch.equal(packed.data, rnn.pack_sequence(list(x)).data)
    for total in (np.int64(6), torch.tensor(6), np.array(6)):
        assert pad_packed_sequence(packed, total_length=total)[0].shape == (6, 3, 2)


def test_pack_sequence() -> None:
    for lengths, sort in (([4, 2, 2], True), ([1, 3, 2], False)):
        sequences = [torch.randn(length, 3, requires_grad=True) for length in lengths]
        ours, theirs = pack_sequence(sequences, sort), rnn.pack_sequence(sequences, sort)
        assert torch.equal(ours.data, theirs.data) and torch.equal(ours.batch_sizes, theirs.batch_sizes)
        ours.data.square().sum().backward()
        for sequence in sequences:
            assert torch.equal(sequence.grad, 2 * sequence)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [[0, 3, 0, 2], [3, 2, 0, 0], [0, 0], [0]])
def test_length_0(batch_first: bool, lengths: list) -> None:
    steps = 3
    x = torch.randn(*((len(lengths), steps) if batch_first else (steps, len(lengths))), 2)
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    assert packed.data.size(0) == sum(lengths) == packed.batch_sizes.sum()
    assert packed.sorted_indices.tolist() == stable(lengths)
    padded, back = pad_packed_sequence(packed, batch_first, total_length=steps)
    assert back.tolist() == lengths
    for b, length in enumerate(lengths):
        ours, theirs = (padded[b], x[b]) if batch_first else (padded[:, b], x[:, b])
        assert torch.equal(ours[:length], theirs[:length]) and not ours[length:].any()
    if lengths == sorted(lengths, reverse=True):  # sorted_indices is what tells of the sequences at the end
        assert pack_padded_sequence(x, lengths, batch_first).sorted_indices.tolist() == list(range(len(lengths)))


@pytest.mark.parametrize("batch_first", [False, True])
def test_integers_beyond_those_of_a_double(batch_first: bool) -> None:
    x = 2**62 + torch.randint(1, 99, (3, 5, 2))
    for lengths, sort in (([5, 3, 1], True), ([1, 5, 3], False), ([5, 0, 2], False)):
        ours = pack_padded_sequence(x if batch_first else x.transpose(0, 1), lengths, batch_first, enforce_sorted=sort)
        for value in (2**53 + 1, -2**53 - 1, 2**63 - 1, -2**63, -2**63 + 1, 7, True, np.int64(2**53 + 1), np.int8(-7),
                      np.array(2**63 - 1), torch.tensor(-2**53 - 1), torch.tensor(5, dtype=torch.uint8)):
            expected = torch.full((3, 6, 2), int(value), dtype=torch.int64)
            for b, length in enumerate(lengths):
                expected[b, :length] = x[b, :length]
            padded, back = pad_packed_sequence(ours, batch_first, value, total_length=6)
            assert torch.equal(padded if batch_first else padded.transpose(0, 1), expected)
            assert back.tolist() == lengths
        flat = rnn.PackedSequence(ours.data[:, 0], *ours[1:])  # without features
        assert pad_packed_sequence(flat, batch_first, 2**53 + 1)[0].max() > 2**62


def test_ties_keep_their_order_whatever_torchs_unstable_sort_does(monkeypatch) -> None:
    """On the CPU torch sorts stably even where nobody asks for it, on a GPU it does not."""
    stable_sort = torch.Tensor.sort

    def adverse(tensor, *arguments, stable=False, **options):
        if not stable:  # ties the other way round
            values, indices = stable_sort(tensor.flip(0), *arguments, stable=True, **options)
            return values, tensor.numel() - 1 - indices
        return stable_sort(tensor, *arguments, stable=True, **options)

    monkeypatch.setattr(torch.Tensor, "sort", adverse)
    lengths = [2, 3, 2, 0, 3, 2, 0]
    assert torch.tensor(lengths).sort(descending=True)[1].tolist() != stable(lengths)
    packed = pack_padded_sequence(torch.randn(3, 7, 2), lengths, enforce_sorted=False)
    assert packed.sorted_indices.tolist() == stable(lengths)


def test_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 3, 2, dtype=torch.float64, requires_grad=True)
    data = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    for layout in (False, True):
        lengths = [2, 0, 4] if not layout else [3, 1, 0, 2]
        assert torch.autograd.gradcheck(
            lambda x: pack_padded_sequence(x, lengths, layout, enforce_sorted=False).data, (x,))
        sequence = pack_padded_sequence(x, lengths, layout, enforce_sorted=False)
        assert torch.autograd.gradcheck(
            lambda data: pad_packed_sequence(rnn.PackedSequence(data, *sequence[1:]), layout)[0], (data,))


def test_errors_name_the_argument() -> None:
    x = torch.randn(4, 3, 2)
    for call, error, text in (
            (lambda: pack_padded_sequence(x, [4, 5, 1]), ValueError, r"lengths\[1\] = 5 is not in 0 \.\.\. 4"),
            (lambda: pack_padded_sequence(x, [4, -1, 1]), ValueError, r"lengths\[1\] = -1 is not in 0"),
            (lambda: pack_padded_sequence(x, [4, 1]), ValueError, r"lengths are of shape \(2,\), and must be \(3,\)"),
            (lambda: pack_padded_sequence(x, [4.0, 1.0, 1.0]), TypeError, "lengths are of torch.float32"),
            (lambda: pack_padded_sequence(x, [1, 4, 1]), RuntimeError, "lengths must be sorted"),
            (lambda: pack_padded_sequence(x[0, 0], [1, 4]), ValueError, "input has 1 dimensions"),
            (lambda: pack_padded_sequence(x.to(torch.complex64), [4, 1, 1]), TypeError, "input is of torch.complex64"),
            (lambda: pack_padded_sequence([[1.0]], [1]), TypeError, "input is of list, and must be a tensor"),
            (lambda: pack_sequence([]), ValueError, "sequences is empty"),
            (lambda: pack_sequence([x, [1.0]]), TypeError, r"sequences\[1\] is of list, and must be a tensor"),
            (lambda: pack_sequence([x, torch.tensor(1.0)]), ValueError, r"sequences\[1\] has no dimension"),
            (lambda: pad_packed_sequence(x), TypeError, "sequence is of Tensor, and must be a PackedSequence"),
            (lambda: pad_packed_sequence(pack_padded_sequence(x, [4, 1, 1]), total_length=4.5), TypeError,
             "total_length = 4.5 is of float, and must be an integer"),
            (lambda: pad_packed_sequence(pack_padded_sequence(x, [4, 1, 1]), total_length=3), ValueError,
             "total_length = 3 is smaller than 4"),
            (lambda: pad_packed_sequence(pack_padded_sequence(x.long(), [4, 1, 1]), padding_value=np.uint64(2**63)),
             ValueError, "padding_value = 9223372036854775808 does not fit in an int64"),
            (lambda: pad_packed_sequence(pack_padded_sequence(x.long(), [4, 1, 1]), padding_value=2**63), ValueError,
             "padding_value = 9223372036854775808 does not fit in an int64")):
        with pytest.raises(error, match=text):
            call()
