"""resets of varlstm.torch's LSTM, GRU and RNN, against torch's modules on the pieces between them: outputs, states and
every gradient; and what is refused."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import re

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence  # noqa: E402

from torch_cases import MODULES, assert_close  # noqa: E402
from varlstm.torch import GRU, LSTM, RNN, pack_padded_sequence as our_pack  # noqa: E402

NAMES = [*MODULES, "LSTM_PROJ"]
KINDS = ("padded", "lengths", "packed_sorted", "packed_unsorted", "packed_flags", "unbatched")
CONFIGURATIONS = 108


class Case:
    """One random configuration: a module of each kind, an input, flags, and perhaps initial states."""

    def __init__(self, seed: int, name: str) -> None:
        draw = random.Random(seed)
        torch.manual_seed(seed)
        projects = name == "LSTM_PROJ"
        name = "LSTM" if projects else name
        self.kind, self.count = KINDS[seed % len(KINDS)], 2 if name == "LSTM" else 1
        self.dtype = (torch.float32, torch.float64)[seed // len(KINDS) % 2]
        inputs, hidden, layers = draw.randint(1, 12), draw.randint(1, 20), draw.randint(1, 3)
        options = {"bias": draw.random() < 0.7, "batch_first": draw.random() < 0.5, "dtype": self.dtype,
                   "bidirectional": draw.random() < 0.5}
        if projects:
            hidden += 1
            options["proj_size"] = draw.randint(1, hidden - 1)
        theirs, ours, own = MODULES[name]
        self.theirs, self.ours = (one(inputs, hidden, layers, **own, **options) for one in (theirs, ours))
        self.ours.load_state_dict(self.theirs.state_dict())
        batch = 1 if self.kind == "unbatched" else draw.randint(1, 7)
        steps, self.directions = draw.randint(1, 14), 1 + options["bidirectional"]
        self.lengths = [draw.randint(0 if self.kind == "lengths" else 1, steps) for _ in range(batch)]
        self.lengths = [steps] * batch if self.kind in ("padded", "unbatched") else sorted(self.lengths, reverse=True)
        if self.kind in ("lengths", "packed_unsorted", "packed_flags"):
            draw.shuffle(self.lengths)
        steps = max(*self.lengths, 1)
        share = draw.choice((0.0, 0.1, 0.3, 1.0))
        self.x = torch.randn(batch, steps, inputs, dtype=self.dtype)
        self.resets = torch.rand(batch, steps) < share  # [B, T], the padding's flags as well
        widths = [options.get("proj_size", hidden), hidden][:self.count]
        self.states = [torch.randn(layers * self.directions, batch, width, dtype=self.dtype) for width in widths]
        self.hx = self.states if draw.random() < 0.6 else None
        self.seed = seed
        self.text = (f"seed {seed}: {self.kind}, {self.theirs}, {self.dtype}, lengths {self.lengths}, resets "
                     f"{self.resets.int().tolist()}, {'with' if self.hx else 'without'} hx")

    def in_pieces(self, x, hx) -> list:
        """Rows of all sequences, one after the other, and the states, by torch's module, piece after piece."""
        initial = hx or [torch.zeros_like(state) for state in self.states]
        forward = (torch.arange(initial[0].size(0)) % self.directions == 0).view(-1, 1, 1)
        rows, lasts = [], [[] for _ in range(self.count)]
        for b, length in enumerate(self.lengths):
            own = [state[:, b:b + 1] for state in initial]
            flags = self.resets[b, :length].tolist()
            starts = [t for t in range(length) if t == 0 or flags[t]] + [length]
            last = own if length == 0 else [torch.zeros_like(state) for state in own]
            for begin, end in zip(starts, starts[1:]):
                begins = forward & (begin == 0 and not flags[begin]) | ~forward & (end == length)
                given = [torch.where(begins, state, torch.zeros_like(state)) for state in own]
                piece = x[b:b + 1, begin:end]
                output, after = self.theirs(piece if self.theirs.batch_first else piece.transpose(0, 1),
                                            tuple(given) if self.count == 2 else given[0])
                rows.append(output.reshape(end - begin, output.size(2)))
                ends = forward & (end == length) | ~forward & (begin == 0)
                after = after if self.count == 2 else (after,)
                last = [torch.where(ends, new, old) for new, old in zip(after, last)]
            for all_of, one in zip(lasts, last):
                all_of.append(one)
        return [torch.cat(rows) if rows else x.new_zeros(0), *(torch.cat(one, 1) for one in lasts)]

    def with_resets(self, x, hx) -> list:
        """The same by our module in one call."""
        batch_first = self.ours.batch_first
        resets = self.resets if self.seed % 2 else self.resets.to(torch.uint8)
        if self.kind == "unbatched":
            hx = None if hx is None else [state[:, 0] for state in hx]
            x, resets = x[0], resets[0]
        elif not batch_first:
            x, resets = x.transpose(0, 1), resets.t()
        hx = hx if hx is None or self.count == 2 else hx[0]
        lengths, more = torch.tensor(self.lengths), {}
        if self.kind == "lengths":
            more = {"lengths": self.lengths}
        elif self.kind.startswith("packed"):
            packed = {"batch_first": batch_first, "enforce_sorted": self.kind == "packed_sorted"}
            x, resets = pack_padded_sequence(x, lengths, **packed), pack_padded_sequence(resets, lengths, **packed)
            resets = resets if self.kind == "packed_flags" else resets.data
        output, states = self.ours(x, hx, resets=resets, **more)
        states = list(states) if self.count == 2 else [states]
        if self.kind == "unbatched":
            return [output, *(state.unsqueeze(1) for state in states)]
        if isinstance(output, PackedSequence):
            output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
        elif not batch_first:
            output = output.transpose(0, 1)
        rows = [output[b, :length] for b, length in enumerate(self.lengths)]
        return [torch.cat(rows) if sum(self.lengths) else x.new_zeros(0), *states]

    def run(self, function, module) -> dict:
        x = self.x.clone().requires_grad_()
        hx = None if self.hx is None else [state.clone().requires_grad_() for state in self.hx]
        outputs = function(x, hx)
        torch.manual_seed(self.seed)
        scale = max(sum(self.lengths), 1) ** -0.5
        loss = sum((scale * torch.randn_like(output) * output).sum() for output in outputs)
        results = dict(zip(("output", "h_n", "c_n"), (output.detach() for output in outputs)))
        if loss.requires_grad:
            loss.backward()
        zeros = torch.zeros_like
        results["dx"] = zeros(x) if x.grad is None else x.grad
        for k, state in enumerate(hx or []):
            results[f"d{'hc'[k]}_0"] = zeros(state) if state.grad is None else state.grad
        results.update((f"d{name}", zeros(one) if one.grad is None else one.grad)
                       for name, one in module.named_parameters())
        return results


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(CONFIGURATIONS))
def test_the_pieces_one_by_one(name: str, seed: int) -> None:
    case = Case(seed, name)
    expected, actual = case.run(case.in_pieces, case.theirs), case.run(case.with_resets, case.ours)
    assert list(actual) == list(expected)
    for what, value in expected.items():
        assert_close(actual[what], value, f"{what}, {case.text}")


@pytest.mark.parametrize("name", MODULES)
def test_without_a_set_flag_nothing_changes(name: str) -> None:
    module = MODULES[name][1](4, 6, 2, bidirectional=True, **MODULES[name][2])
    x = torch.randn(5, 3, 4)
    expected, actual = module(x)[0], module(x, resets=torch.zeros(5, 3, dtype=torch.bool))[0]
    assert torch.equal(actual, expected)
    assert torch.equal(module(x)[0], expected), "the flags of the call before were still there"
    assert not torch.equal(module(x, resets=torch.ones(5, 3, dtype=torch.bool))[0], expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_16_bits_and_under_autocast(dtype: torch.dtype) -> None:
    lstm, x = LSTM(4, 6), torch.randn(5, 2, 4)
    resets = torch.tensor([[0, 0], [1, 0], [0, 0], [0, 1], [0, 0]], dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = lstm(x, resets=resets)[0]
        assert y.dtype == torch.bfloat16 and torch.equal(y[1:, 0], lstm(x[1:, :1])[0][:, 0])
    lstm, x = lstm.to(dtype), x.to(dtype)
    assert torch.equal(lstm(x, resets=resets)[0][3:, 1], lstm(x[3:, 1:])[0][:, 0])


def test_of_our_own_packed_sequences_with_empty_ones() -> None:
    gru, lengths = GRU(4, 6, batch_first=True), torch.tensor([0, 3, 5, 0, 1])
    x, resets = torch.randn(5, 5, 4), torch.rand(5, 5) < 0.4
    packed = our_pack(x, lengths, batch_first=True, enforce_sorted=False)
    flags = our_pack(resets.float(), lengths, batch_first=True, enforce_sorted=False)
    expected, h_n = gru(x, lengths=lengths, resets=resets)
    for given in (flags.data.bool(), PackedSequence(flags.data.bool(), *flags[1:])):
        output, after = gru(packed, resets=given)
        again = our_pack(expected, lengths, batch_first=True, enforce_sorted=False)
        assert torch.equal(output.data, again.data) and torch.equal(after, h_n)


def test_wrong_arguments() -> None:
    x, flags = torch.randn(5, 3, 4), torch.zeros(5, 3, dtype=torch.bool)
    first, other = LSTM(4, 6, batch_first=True), RNN(4, 6)
    packed = pack_padded_sequence(x, torch.tensor([5, 2, 2]))
    wrong, bytes_of = torch.zeros(5, 3, dtype=torch.uint8), torch.zeros(3, 5, dtype=torch.uint8)
    wrong[4, 1], bytes_of[2, 3] = 7, 255
    cases = [
        (other, x, flags[:4], ValueError, "resets are of shape (4, 3), and must be (5, 3): [T, B] of the input"),
        (first, x.transpose(0, 1), flags, ValueError, "resets are of shape (5, 3), and must be (3, 5): [B, T] of the"),
        (other, x[:, 0], flags, ValueError, "resets are of shape (5, 3), and must be (5,): [T] of the input"),
        (other, packed, flags, ValueError, "resets are of shape (5, 3), and must be (9,): a flag for each row"),
        (other, x, flags.float(), TypeError, "resets are of torch.float32, and must be of torch.bool or torch.uint8"),
        (other, x, flags.long(), TypeError, "resets are of torch.int64, and must be of torch.bool or torch.uint8"),
        (other, x, flags.tolist(), TypeError, "resets is of list, and must be a tensor"),
        (other, x, wrong, ValueError, "resets[4, 1] = 7 is neither 0 nor 1"),
        (first, x.transpose(0, 1), bytes_of, ValueError, "resets[2, 3] = 255 is neither 0 nor 1"),
        (other, x, flags.to("meta"), ValueError, "input is on cpu, resets on meta: they must be on one device"),
        (other, x, packed, TypeError, "resets is of PackedSequence, and must be a tensor"),
        (other, packed, pack_padded_sequence(flags, torch.tensor([5, 3, 1])), ValueError,
         "resets are a PackedSequence of other batch_sizes or sorted_indices than the input's"),
        (other, packed, pack_padded_sequence(flags, torch.tensor([2, 5, 2]), enforce_sorted=False), ValueError,
         "resets are a PackedSequence of other batch_sizes or sorted_indices than the input's"),
    ]
    for module, input, resets, kind, text in cases:
        with pytest.raises(kind, match=re.escape(text)):
            module(input, resets=resets)


def test_flags_packed_with_and_without_the_order_that_they_have() -> None:
    lengths, x, flags = torch.tensor([5, 3, 1]), torch.randn(5, 3, 4), torch.rand(5, 3) < 0.5
    module = GRU(4, 6)
    packed = [pack_padded_sequence(x, lengths, enforce_sorted=sorted_) for sorted_ in (True, False)]
    resets = [pack_padded_sequence(flags, lengths, enforce_sorted=sorted_) for sorted_ in (True, False)]
    expected = module(packed[0], resets=resets[0].data)[0].data
    for input in packed:
        for one in resets:
            assert torch.equal(module(input, resets=one)[0].data, expected)


def test_flags_that_change_before_backward_are_seen() -> None:
    gru, x, resets = GRU(4, 6), torch.randn(5, 3, 4), torch.zeros(5, 3, dtype=torch.bool)
    y, _ = gru(x, resets=resets)
    resets[2] = True
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
