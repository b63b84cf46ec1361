"""A random configuration of a module of varlstm.torch and of its model in torch.nn, and how both are called: outputs,
states and every gradient."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import functools
import random

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from varlstm.torch import GRU, LSTM, RNN, LayerNormGRU, LayerNormLSTM

# By name: the class of torch.nn, ours, and the options of both.
MODULES = {"LSTM": (torch.nn.LSTM, LSTM, {}), "GRU": (torch.nn.GRU, GRU, {}),
           "RNN_TANH": (torch.nn.RNN, RNN, {}), "RNN_RELU": (torch.nn.RNN, RNN, {"nonlinearity": "relu"})}


class Loop:
    """The forward of a network that torch does not have: a loop over the tokens, with `cell`, over the parameters of a
    module of torch.nn that it is mixed into."""

    def cell(self, place: str, x: torch.Tensor, states: tuple) -> tuple:
        """The states after one token of a layer and direction: h first, which is the output."""
        raise NotImplementedError

    def parts(self, kind: str, place: str, count: int) -> tuple:
        """A parameter's part for each gate; zeros for a bias that there is not."""
        weight = getattr(self, f"{kind}_{place}", None)
        return (0,) * count if weight is None else weight.chunk(count)

    def _run(self, place: str, x: torch.Tensor, lengths: torch.Tensor, states: tuple) -> tuple:
        """One layer and direction over x [T, B, in]: its outputs [T, B, H], 0 in the padding, and its last states."""
        outputs = [torch.zeros_like(states[0])] * len(x)
        for t in reversed(range(len(x))) if place.endswith("_reverse") else range(len(x)):
            present = (t < lengths)[:, None]
            states = tuple(torch.where(present, after, before)
                           for after, before in zip(self.cell(place, x[t], states), states))
            outputs[t] = torch.where(present, states[0], torch.zeros_like(states[0]))
        return torch.stack(outputs), states

    def forward(self, input, hx=None) -> tuple:
        packed, unbatched = isinstance(input, PackedSequence), not isinstance(input, PackedSequence) and input.dim() == 2
        if packed:
            x, lengths = pad_packed_sequence(input)
        else:
            x = input[:, None] if unbatched else input.transpose(0, 1) if self.batch_first else input
            lengths = torch.full((x.size(1),), len(x))
        entries, widths = self.num_layers * (1 + self.bidirectional), (self.proj_size or self.hidden_size, self.hidden_size)
        widths = widths[:2 if self.mode == "LSTM" else 1]
        if hx is None:
            hx = tuple(x.new_zeros(entries, x.size(1), width) for width in widths)
        else:
            hx = hx if len(widths) == 2 else (hx,)
            hx = tuple(state[:, None] for state in hx) if unbatched else hx
        after = []
        for layer in range(self.num_layers):
            each = []
            for suffix in ("", "_reverse")[:1 + self.bidirectional]:
                output, last = self._run(f"l{layer}{suffix}", x, lengths, tuple(state[len(after)] for state in hx))
                each.append(output)
                after.append(last)
            x = torch.cat(each, 2)
        states = tuple(torch.stack(state) for state in zip(*after))
        if packed:
            output = pack_padded_sequence(x, lengths, enforce_sorted=input.sorted_indices is None)
        else:
            output = x[:, 0] if unbatched else x.transpose(0, 1) if self.batch_first else x
            states = tuple(state[:, 0] for state in states) if unbatched else states
        return output, states if len(states) == 2 else states[0]


class GruResetBefore(Loop, torch.nn.GRU):
    """A GRU whose reset gate acts before the product."""

    def __init__(self, *sizes: int, reset_after: bool, **options) -> None:
        assert not reset_after
        super().__init__(*sizes, **options)

    def cell(self, place: str, x: torch.Tensor, states: tuple) -> tuple:
        (w_r, w_z, w_n), (u_r, u_z, u_n) = self.parts("weight_ih", place, 3), self.parts("weight_hh", place, 3)
        (b_r, b_z, b_n), (c_r, c_z, c_n) = self.parts("bias_ih", place, 3), self.parts("bias_hh", place, 3)
        h, = states
        r = torch.sigmoid(x @ w_r.t() + b_r + h @ u_r.t() + c_r)
        z = torch.sigmoid(x @ w_z.t() + b_z + h @ u_z.t() + c_z)
        n = torch.tanh(x @ w_n.t() + b_n + (r * h) @ u_n.t() + c_n)
        return ((1 - z) * n + z * h,)


class LayerNormLoop(Loop):
    """Layer normalisation, with F.layer_norm, over parameters that have the names and the order of ours."""

    def __init__(self, *sizes: int, **options) -> None:
        super().__init__(*sizes, **options)
        widths = {"norm_ih": self.weight_hh_l0.size(0), "norm_hh": self.weight_hh_l0.size(0)}
        if self.mode == "LSTM":
            widths.update(norm_c=self.hidden_size, norm_c_bias=self.hidden_size)
        weights, names = dict(self._parameters), [list(each) for each in self._all_weights]
        self._parameters.clear()
        self._flat_weights_names, self._flat_weights, self._flat_weight_refs = [], [], []  # torch's own are not used
        for each in names:
            place = each[0][len("weight_ih"):]
            for name in each:
                self._parameters[name] = weights[name]
                if name.startswith("weight"):  # products of a small variance would multiply the rounding of float
                    torch.nn.init.uniform_(weights[name], -1, 1)
            for kind, width in widths.items():
                values = 0.5 + torch.rand(width, dtype=options.get("dtype"))
                self._parameters[kind + place] = torch.nn.Parameter(values)

    def products(self, place: str, x: torch.Tensor, h: torch.Tensor) -> tuple:
        """The gates of both products, normalised, with their biases."""
        gates, result = 4 if self.mode == "LSTM" else 3, []
        for kind, value in (("ih", x), ("hh", h)):
            product = value @ getattr(self, f"weight_{kind}_{place}").t()
            normalised = torch.nn.functional.layer_norm(product, product.shape[1:], getattr(self, f"norm_{kind}_{place}"))
            result.append((normalised + getattr(self, f"bias_{kind}_{place}", 0)).chunk(gates, 1))
        return tuple(result)


class LayerNormLstm(LayerNormLoop, torch.nn.LSTM):
    def cell(self, place: str, x: torch.Tensor, states: tuple) -> tuple:
        h, c = states
        i, f, g, o = (a + b for a, b in zip(*self.products(place, x, h)))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        seen = torch.nn.functional.layer_norm(c, c.shape[1:], getattr(self, f"norm_c_{place}"),
                                              getattr(self, f"norm_c_bias_{place}"))
        h = torch.sigmoid(o) * torch.tanh(seen)
        return h if self.proj_size == 0 else h @ getattr(self, f"weight_hr_{place}").t(), c


class LayerNormGru(LayerNormLoop, torch.nn.GRU):
    def cell(self, place: str, x: torch.Tensor, states: tuple) -> tuple:
        (x_r, x_z, x_n), (h_r, h_z, h_n) = self.products(place, x, states[0])
        z = torch.sigmoid(x_z + h_z)
        return ((1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + z * states[0],)


# Likewise, with a loop in the place of torch's module.
LOOPS = {"GRU_RESET_BEFORE": (GruResetBefore, GRU, {"reset_after": False}),
         "LAYER_NORM_LSTM": (LayerNormLstm, LayerNormLSTM, {}), "LAYER_NORM_GRU": (LayerNormGru, LayerNormGRU, {})}
KINDS = ("packed_sorted", "packed_unsorted", "lengths", "padded", "unbatched")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_close(actual, expected, where: str, more: float = 0.0) -> None:
    """|actual - expected| <= more + tolerance + tolerance * |expected|, with the tolerance of actual's dtype."""
    tolerance = TOLERANCE[actual.dtype]
    torch.testing.assert_close(actual.to(expected.dtype), expected, rtol=tolerance, atol=tolerance + more, msg=lambda text: f"{where}: {text}")


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
        if name.startswith("LAYER_NORM"):  # so do few units
            inputs, hidden = inputs + 1, hidden + 4
        width = hidden  # of h
        if projected:
            hidden += 1
            width = draw.randint(1, hidden - 1)
            own_options = {"proj_size": width}
        self.make_theirs = functools.partial(theirs, inputs, hidden, layers, **options, **own_options)
        self.theirs = self.make_theirs(dtype=self.dtype)
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
        widths = (width, hidden) if issubclass(ours, LSTM) else (hidden,)
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

    def run(self, module, dtype=None) -> dict:
        """Outputs, and the gradients of everything that has one, for random gradients of the outputs."""
        x = self.x.to(dtype, copy=True).requires_grad_()
        hx = None if self.hx is None else tuple(state.to(dtype, copy=True).requires_grad_() for state in self.hx)
        outputs = self.call(module, x, hx if hx is None or len(hx) == 2 else hx[0])
        torch.manual_seed(self.cotangent_seed)
        scale = sum(self.lengths) ** -0.5  # gradients of order 1, as those of a mean loss
        torch.autograd.backward(outputs, [scale * torch.randn(output.shape, dtype=self.dtype).to(output.dtype)
                                          for output in outputs])
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

    def run_in_double(self, nudge: float = 0.0, seed: int = 0) -> dict:
        """Theirs in double, with every parameter and input changed by a random factor from 1 - nudge to 1 + nudge."""
        generator = torch.Generator().manual_seed(seed)

        def nudged(value: torch.Tensor) -> torch.Tensor:
            change = 2 * torch.rand(value.shape, generator=generator, dtype=torch.float64) - 1
            return value.detach().double() * (1 + nudge * change)

        module, case = self.make_theirs(dtype=torch.float64), copy.copy(self)
        module.load_state_dict({name: nudged(value) for name, value in self.theirs.state_dict().items()})
        case.x, case.hx = nudged(self.x), None if self.hx is None else [nudged(state) for state in self.hx]
        return case.run(module, torch.float64)

    def check_in_double(self) -> None:
        """Whether ours in float is as near to theirs in double as the problem allows. `spread` says by how much a
        result moves if each parameter and input is rounded to float anew. Every operation of a recurrence rounds again,
        so an error is several times that: up to 6 in 300 configurations, where it is not below the tolerance anyway."""
        exact, actual = self.run_in_double(), self.run(self.ours)
        others = [self.run_in_double(2.0 ** -24, seed) for seed in (1, 2, 3)]
        assert list(actual) == list(exact)
        for name, value in exact.items():
            spread = max(float((other[name] - value).abs().max()) for other in others)
            assert_close(actual[name], value, f"{name}, {self.text}", 16 * spread)
