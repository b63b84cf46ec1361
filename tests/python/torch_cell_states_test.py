"""varlstm.torch.LSTM with cell_states=True, against torch.nn.LSTM run token by token: output, states, c of every token
and every gradient; and what is refused."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence  # noqa: E402

from torch_cases import KINDS, assert_close  # noqa: E402
from varlstm.torch import GRU, LSTM  # noqa: E402

CASES = 120


def single(module: torch.nn.LSTM, place: str) -> torch.nn.LSTM:
    """One layer and direction of torch's module, of the very same parameters."""
    weight = getattr(module, f"weight_ih_{place}")
    one = torch.nn.LSTM(weight.size(1), module.hidden_size, bias=module.bias, proj_size=module.proj_size,
                        dtype=weight.dtype)
    for name in one._flat_weights_names:
        setattr(one, name, getattr(module, name.replace("l0", place)))
    return one


def token_by_token(module: torch.nn.LSTM, x: torch.Tensor, resets: torch.Tensor, states: tuple) -> tuple:
    """y, h_n, c_n and c of one sequence x [T, I] from h_0 and c_0 [L*D, ...]."""
    after = []
    for layer in range(module.num_layers):
        outputs, cell_states = [], []
        for suffix in ("", "_reverse")[:1 + module.bidirectional]:
            one, state = single(module, f"l{layer}{suffix}"), tuple(one[len(after)][None] for one in states)
            rows, steps = {}, range(len(x))
            for t in reversed(steps) if suffix else steps:
                # Backwards, a piece ends where the token that was visited before has a reset.
                starts = bool(resets[t]) if not suffix else t + 1 < len(x) and bool(resets[t + 1])
                state = tuple(torch.zeros_like(one) for one in state) if starts else state
                y, state = one(x[t:t + 1], state)
                rows[t] = y[0], state[1][0]
            after.append([one[0] for one in state])
            outputs.append([rows[t][0] for t in steps])
            cell_states.append([rows[t][1] for t in steps])
        x, c = (torch.stack([torch.cat(of_token) for of_token in zip(*each)]) for each in (outputs, cell_states))
    return (x, *map(torch.stack, zip(*after)), c)


class Case:
    """One random configuration of both modules."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.kind, self.seed = KINDS[seed % len(KINDS)], seed
        dtype = (torch.float32, torch.float64)[seed // len(KINDS) % 2]
        inputs, hidden, layers = draw.randint(1, 8), draw.randint(2, 12), draw.randint(1, 2)
        self.batch_first = draw.random() < 0.5
        options = {"bias": draw.random() < 0.7, "bidirectional": draw.random() < 0.5, "dtype": dtype,
                   "batch_first": self.batch_first, "proj_size": draw.choice((0, draw.randint(1, hidden - 1)))}
        self.theirs, self.ours = (one(inputs, hidden, layers, **options) for one in (torch.nn.LSTM, LSTM))
        self.ours.load_state_dict(self.theirs.state_dict())
        batch, steps = 1 if self.kind == "unbatched" else draw.randint(1, 4), draw.randint(1, 7)
        fewest = {"padded": steps, "unbatched": steps, "lengths": 0}.get(self.kind, 1)
        self.lengths = [draw.randint(fewest, steps) for _ in range(batch)]
        if self.kind == "packed_sorted":
            self.lengths.sort(reverse=True)
        steps = max(*self.lengths, 1)
        self.x = torch.randn(batch, steps, inputs, dtype=dtype)
        self.resets = torch.rand(batch, steps) < 0.3 * draw.randint(0, 1)
        widths = options["proj_size"] or hidden, hidden
        self.hx = [torch.randn(layers * (1 + options["bidirectional"]), batch, width, dtype=dtype) for width in widths]
        self.text = f"seed {seed}: {self.kind}, {self.theirs}, lengths {self.lengths}, resets {self.resets.tolist()}"

    def ours_of(self, x, hx) -> tuple:
        """Rows of y and c of all sequences, one after the other, and h_n and c_n."""
        place = (lambda rows: rows) if self.batch_first else (lambda rows: rows.transpose(0, 1))
        resets = self.resets if self.resets.any() else None
        if self.kind == "unbatched":
            output, states, c = self.ours(x[0], [state[:, 0] for state in hx], cell_states=True,
                                          resets=None if resets is None else resets[0])
            return output, *(state[:, None] for state in states), c
        flags = None if resets is None else place(resets)
        if self.kind.startswith("packed"):
            def packed(rows):
                return pack_padded_sequence(rows, torch.tensor(self.lengths), batch_first=self.batch_first,
                                            enforce_sorted=self.kind == "packed_sorted")
            output, states, c = self.ours(packed(place(x)), hx, cell_states=True,
                                          resets=None if flags is None else packed(flags))
            assert isinstance(output, PackedSequence) and isinstance(c, PackedSequence)
            output, c = (pad_packed_sequence(one, batch_first=self.batch_first)[0] for one in (output, c))
        else:
            lengths = self.lengths if self.kind == "lengths" else None
            output, states, c = self.ours(place(x), hx, lengths=lengths, resets=flags, cell_states=True)
        for b, length in enumerate(self.lengths):
            assert not place(c)[b, length:].any(), "padding"
        return self._rows(place(output)), *states, self._rows(place(c))

    def _rows(self, padded) -> torch.Tensor:
        return torch.cat([rows[:length] for rows, length in zip(padded, self.lengths)])

    def theirs_of(self, x, hx) -> tuple:
        each = [token_by_token(self.theirs, x[b, :length], self.resets[b], [state[:, b] for state in hx])
                for b, length in enumerate(self.lengths) if length]
        y, h_n, c_n, c = zip(*each)
        states = []
        for initial, of_each in zip(hx, (h_n, c_n)):
            rows = iter(of_each)
            states.append(torch.stack([next(rows) if length else initial[:, b]
                                       for b, length in enumerate(self.lengths)], 1))
        return torch.cat(y), *states, torch.cat(c)

    def run(self, module, call) -> dict:
        x = self.x.clone().requires_grad_()
        hx = [state.clone().requires_grad_() for state in self.hx]
        outputs = call(x, hx)
        torch.manual_seed(self.seed)
        cotangents = [torch.randn_like(output) / 4 for output in outputs]
        some = range(3, 4) if self.seed % 4 == 1 else range(4)  # of c alone, or of all
        torch.autograd.backward([outputs[k] for k in some], [cotangents[k] for k in some])
        results = dict(zip(("output", "h_n", "c_n", "c"), (output.detach() for output in outputs)))
        results.update(dx=x.grad, dh_0=hx[0].grad, dc_0=hx[1].grad)
        results.update((f"d{name}", parameter.grad) for name, parameter in module.named_parameters())
        return results


@pytest.mark.parametrize("first", range(0, CASES, 20))
def test_equals_torch_token_by_token(first: int) -> None:
    for seed in range(first, first + 20):
        case = Case(seed)
        if not any(case.lengths):
            continue
        expected, actual = case.run(case.theirs, case.theirs_of), case.run(case.ours, case.ours_of)
        for name, value in expected.items():
            zeros = torch.zeros_like(actual[name] if value is None else value)  # what no gradient reaches
            assert_close(actual[name], zeros if value is None else value, f"{name}, {case.text}")


def test_results_without_it_are_the_same_bits() -> None:
    torch.manual_seed(1)
    module, x = LSTM(3, 5, 2, bidirectional=True, dropout=0.3, zoneout_c=0.2), torch.randn(4, 2, 3)
    torch.manual_seed(2)
    output, states, c = module(x, cell_states=True)
    assert c.shape == (4, 2, 10) and c.requires_grad
    torch.manual_seed(2)
    plain = module(x)
    assert len(plain) == 2 and torch.equal(plain[0], output)
    assert all(map(torch.equal, plain[1], states))
    assert torch.equal(c[-1, :, :5], states[1][2]) and torch.equal(c[0, :, 5:], states[1][3])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_of_16_bits_it_is_rounded_c(dtype) -> None:
    torch.manual_seed(3)
    module = LSTM(3, 5, bidirectional=True, dtype=dtype)
    _, (_, c_n), c = module(torch.randn(4, 2, 3, dtype=dtype), cell_states=True)
    assert c.dtype == dtype and torch.equal(c[-1, :, :5], c_n[0]) and torch.equal(c[0, :, 5:], c_n[1])


def test_autocast() -> None:
    module, x = LSTM(3, 5), torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        output, (_, c_n), c = module(x, cell_states=True)
    assert output.dtype == c.dtype == torch.bfloat16 and torch.equal(c[-1], c_n[0])
    c.float().sum().backward()
    assert module.weight_ih_l0.grad.abs().sum() > 0 and module.weight_ih_l0.grad.dtype == torch.float32


def test_nothing_is_saved_without_gradients() -> None:
    module = LSTM(3, 5)
    with torch.no_grad():
        output, _, c = module(torch.randn(4, 3), cell_states=True)
    assert not output.requires_grad and not c.requires_grad and c.shape == (4, 5)


def test_what_is_refused() -> None:
    module, x = LSTM(3, 5), torch.randn(4, 2, 3)
    with pytest.raises(TypeError, match="cell_states = 'yes' is of str, and must be True or False"):
        module(x, cell_states="yes")
    with pytest.raises(TypeError, match="cell_states"):
        GRU(3, 5)(x, cell_states=True)


@pytest.mark.skipif(not hasattr(torch.library, "custom_op"), reason="torch.compile works from torch 2.4 on")
def test_compiled() -> None:
    torch.manual_seed(4)
    module, x = LSTM(3, 5, 2), torch.randn(4, 2, 3, requires_grad=True)

    def loss(x):
        output, _, c = module(x, lengths=torch.tensor([4, 2]), cell_states=True)
        return (output * output).sum() + c.sin().sum()

    loss(x).backward()
    expected, x.grad = x.grad, None
    torch.compile(loss, backend="aot_eager", fullgraph=True)(x).backward()
    torch.testing.assert_close(x.grad, expected)
