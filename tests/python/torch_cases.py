"""A random configuration of a module of varlstm.torch and of its model in torch.nn, and how both are called: outputs,
states and every gradient."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from varlstm.torch import GRU, LSTM, RNN

# By name: the class of torch.nn, ours, and the options of both.
MODULES = {"LSTM": (torch.nn.LSTM, LSTM, {}), "GRU": (torch.nn.GRU, GRU, {}),
           "RNN_TANH": (torch.nn.RNN, RNN, {}), "RNN_RELU": (torch.nn.RNN, RNN, {"nonlinearity": "relu"})}


class GruResetBefore(torch.nn.GRU):
    """torch has no GRU whose reset gate acts before the product: this is a loop over nn.GRU's parameters."""

    def __init__(self, *sizes: int, reset_after: bool, **options) -> None:
        assert not reset_after
        super().__init__(*sizes, **options)

    def _parts(self, kind: str, place: str) -> tuple:
        """The gates r, z, n of a parameter; zeros for a bias that there is not."""
        weight = getattr(self, f"{kind}_{place}", None)
        return (0, 0, 0) if weight is None else weight.chunk(3)

    def _run(self, place: str, x: torch.Tensor, lengths: torch.Tensor, h: torch.Tensor) -> tuple:
        """One layer and direction over x [T, B, in]: its outputs [T, B, H], 0 in the padding, and its last states."""
        (w_r, w_z, w_n), (u_r, u_z, u_n) = self._parts("weight_ih", place), self._parts("weight_hh", place)
        (b_r, b_z, b_n), (c_r, c_z, c_n) = self._parts("bias_ih", place), self._parts("bias_hh", place)
        outputs = [torch.zeros_like(h)] * len(x)
        for t in reversed(range(len(x))) if place.endswith("_reverse") else range(len(x)):
            r = torch.sigmoid(x[t] @ w_r.t() + b_r + h @ u_r.t() + c_r)
            z = torch.sigmoid(x[t] @ w_z.t() + b_z + h @ u_z.t() + c_z)
            n = torch.tanh(x[t] @ w_n.t() + b_n + (r * h) @ u_n.t() + c_n)
            present = (t < lengths)[:, None]
            h = torch.where(present, (1 - z) * n + z * h, h)
            outputs[t] = torch.where(present, h, torch.zeros_like(h))
        return torch.stack(outputs), h

    def forward(self, input, hx=None) -> tuple:
        packed, unbatched = isinstance(input, PackedSequence), not isinstance(input, PackedSequence) and input.dim() == 2
        if packed:
            x, lengths = pad_packed_sequence(input)
        else:
            x = input[:, None] if unbatched else input.transpose(0, 1) if self.batch_first else input
            lengths = torch.full((x.size(1),), len(x))
        entries = self.num_layers * (1 + self.bidirectional)
        hx = x.new_zeros(entries, x.size(1), self.hidden_size) if hx is None else hx[:, None] if unbatched else hx
        after = []
        for layer in range(self.num_layers):
            each = []
            for suffix in ("", "_reverse")[:1 + self.bidirectional]:
                output, h = self._run(f"l{layer}{suffix}", x, lengths, hx[len(after)])
                each.append(output)
                after.append(h)
            x = torch.cat(each, 2)
        h_n = torch.stack(after)
        if packed:
            return pack_padded_sequence(x, lengths, enforce_sorted=input.sorted_indices is None), h_n
        return (x[:, 0], h_n[:, 0]) if unbatched else (x.transpose(0, 1) if self.batch_first else x, h_n)


# Likewise, with a loop in the place of torch's module.
LOOPS = {"GRU_RESET_BEFORE": (GruResetBefore, GRU, {"reset_after": False})}
KINDS = ("packed_sorted", "packed_unsorted", "lengths", "padded", "unbatched")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_close(actual, expected, where: str) -> None:
    """|actual - expected| <= tolerance + tolerance * |expected|, with the tolerance of the dtype."""
    tolerance = TOLERANCE[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance, msg=lambda text: f"{where}: {text}")


def draw_lengths(draw: random.Random, batch: int) -> list:
    """Lengths that hurt."""
    kind = draw.choice(("equal", "ones", "giant", "ties", "geometric", "uniform"))
    if kind == "equal":
        return [draw.randint(1, 12)] * batch
    if kind == "ones":
        return [1] * batch
    if kind == "giant":
        lengths = [draw.randint(1, 2) for _ in range(batch)]
        lengths[draw.randrange(batch)] = 60
        return lengths
    if kind == "ties":
        return [draw.choice((2, 5)) for _ in range(batch)]
    if kind == "geometric":
        return [min(40, int(draw.expovariate(0.15)) + 1) for _ in range(batch)]
    return [draw.randint(1, 20) for _ in range(batch)]


class Case:
    """One random configuration, both modules, and inputs that each of them gets a copy of."""

    def __init__(self, seed: int, name: str, projected: bool = False) -> None:
        draw = random.Random(seed)
        torch.manual_seed(seed)
        self.kind = KINDS[seed % len(KINDS)]
        self.dtype = (torch.float32, torch.float64)[seed // len(KINDS) % 2]
        inputs, hidden, layers = draw.randint(1, 20), draw.randint(1, 24), draw.randint(1, 3)
        options = {"bias": draw.random() < 0.7, "batch_first": draw.random() < 0.5,
                   "bidirectional": draw.random() < 0.5}
        theirs, ours, own_options = {**MODULES, **LOOPS}[name]
        width = hidden  # of h
        if projected:
            hidden += 1
            width = draw.randint(1, hidden - 1)
            own_options = {"proj_size": width}
        self.theirs = theirs(inputs, hidden, layers, dtype=self.dtype, **options, **own_options)
        self.ours = ours(inputs, hidden, layers, dtype=self.dtype, **options, **own_options)
        self.ours.load_state_dict(self.theirs.state_dict())
        batch = 1 if self.kind == "unbatched" else draw.choice((1, 2, 3, 8, draw.randint(1, 40)))
        self.lengths = draw_lengths(draw, batch)
        if self.kind == "packed_sorted":
            self.lengths.sort(reverse=True)
        self.batch_first = options["batch_first"]
        steps = max(self.lengths)
        shape = (batch, steps) if self.batch_first else (steps, batch)
        self.x = torch.randn(*((steps,) if self.kind == "unbatched" else shape), inputs, dtype=self.dtype)
        states = (layers * (1 + options["bidirectional"]),)
        states = states if self.kind == "unbatched" else (states[0], batch)
        widths = (width, hidden) if ours is LSTM else (hidden,)
        self.hx = [torch.randn(*states, size, dtype=self.dtype) for size in widths] if draw.random() < 0.5 else None
        self.cotangent_seed = seed
        self.text = (f"seed {seed}: {self.kind}, {self.theirs}, {self.dtype}, lengths {self.lengths}, "
                     f"{'with' if self.hx else 'without'} hx")

    def call(self, module, x, hx) -> list:
        """[output, h_n, c_n] or [output, h_n], the output without its padding."""
        if self.kind in ("padded", "unbatched"):
            output, states = module(x, hx)
        elif self.kind == "lengths" and module is self.ours:
            output, states = module(x, hx, lengths=torch.tensor(self.lengths))
        else:
            packed = pack_padded_sequence(x, torch.tensor(self.lengths), batch_first=self.batch_first,
                                          enforce_sorted=self.kind == "packed_sorted")
            output, states = module(packed, hx)
            assert isinstance(output, PackedSequence)
            if self.kind == "lengths":
                output, _ = pad_packed_sequence(output, batch_first=self.batch_first)
            else:
                output = output.data
        return [output, *states] if isinstance(states, tuple) else [output, states]

    def run(self, module) -> dict:
        """Outputs, and the gradients of everything that has one, for random gradients of the outputs."""
        x = self.x.clone().requires_grad_()
        hx = None if self.hx is None else tuple(state.clone().requires_grad_() for state in self.hx)
        outputs = self.call(module, x, hx if hx is None or len(hx) == 2 else hx[0])
        torch.manual_seed(self.cotangent_seed)
        scale = sum(self.lengths) ** -0.5  # gradients of order 1, as those of a mean loss
        torch.autograd.backward(outputs, [scale * torch.randn_like(output) for output in outputs])
        results = dict(zip(("output", "h_n", "c_n"), (output.detach() for output in outputs)), dx=x.grad)
        if hx is not None:
            results.update(zip(("dh_0", "dc_0"), (state.grad for state in hx)))
        results.update((f"d{name}", parameter.grad) for name, parameter in module.named_parameters())
        return results

    def check(self) -> None:
        """Whether both give the same."""
        expected, actual = self.run(self.theirs), self.run(self.ours)
        assert list(actual) == list(expected)
        for name, value in expected.items():
            assert_close(actual[name], value, f"{name}, {self.text}")
