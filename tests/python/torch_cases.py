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
        theirs, ours, own_options = MODULES[name]
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
