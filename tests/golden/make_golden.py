#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files beside this script: what PyTorch computes, in double, for golden_*_test.cc and the bindings.

    python3 make_golden.py          (Debian: apt-get install python3-torch)

Format, one item a line; golden.h reads it:
    # comment; the first line names the version of PyTorch
    case NAME                       starts a case; what follows up to the next one belongs to it
    real NAME DIM[xDIM...] VALUE... row-major; shortest text that reads back to the same double
    int NAME DIM VALUE...
Inputs are rounded to 3 decimals, which keeps the files small; results have all their digits.
"""
import functools
import itertools
import os

import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

HERE = os.path.dirname(os.path.abspath(__file__))


class Writer:
    def __init__(self, name):
        self.file = open(os.path.join(HERE, name), "w", encoding="ascii")
        self.file.write(f"# PyTorch {torch.__version__}, float64, made by make_golden.py\n")

    def case(self, name):
        self.file.write(f"case {name}\n")

    def real(self, name, tensor):
        tensor = torch.as_tensor(tensor, dtype=torch.float64).detach()
        shape = "x".join(str(d) for d in tensor.shape) or "1"
        values = " ".join(repr(v) for v in tensor.reshape(-1).tolist())
        self.file.write(f"real {name} {shape} {values}".rstrip() + "\n")

    def int(self, name, tensor):
        values = torch.as_tensor(tensor, dtype=torch.int64).reshape(-1).tolist()
        self.file.write(f"int {name} {len(values)} {' '.join(map(str, values))}".rstrip() + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()


def rounded(*shape, scale=1.0):
    """Uniform in [-scale, scale], 3 decimals."""
    thousandths = torch.randint(-1000, 1001, shape, dtype=torch.float64) * scale
    return torch.round(thousandths) / 1000


def ragged_to_padded(lengths, features):
    padded = torch.zeros(len(lengths), max(lengths), features, dtype=torch.float64)
    for b, length in enumerate(lengths):
        padded[b, :length] = rounded(length, features)
    return padded


def write_packing():
    cases = [[3, 5, 1, 3], [1, 1, 1], [4], [2, 7, 2, 7, 2], [6, 5, 4, 3, 2, 1], [1, 2, 3, 4], [2, 2, 2, 2, 1, 1, 9]]
    with Writer("packing.txt") as out:
        for lengths in cases:
            padded = ragged_to_padded(lengths, 2)
            packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
            # PyTorch promises no order of ties; the library keeps the caller's, and so must the file.
            stable = sorted(range(len(lengths)), key=lambda b: -lengths[b])
            assert packed.sorted_indices.tolist() == stable, lengths
            out.case("_".join(map(str, lengths)))
            out.int("lengths", lengths)
            out.real("padded", padded)
            out.real("data", packed.data)
            out.int("batch_sizes", packed.batch_sizes)
            out.int("sorted_indices", packed.sorted_indices)
            out.int("unsorted_indices", packed.unsorted_indices)
            longer = max(lengths) + 2
            for layout, batch_first in (("batch_first", True), ("time_major", False)):
                unpacked, _ = pad_packed_sequence(packed, batch_first=batch_first, padding_value=-7.5,
                                                  total_length=longer)
                out.real(f"unpacked_{layout}", unpacked)


def write_rnn_case(out, module, lengths, layers, bidirectional, bias, states, sizes=(2, 3), proj_size=0):
    """module: nn.LSTM, which has states h and c, or another one, which has h alone. sizes: of the input, H."""
    input_size, hidden = sizes
    has_c = module is torch.nn.LSTM
    projection = {"proj_size": proj_size} if proj_size else {}
    rnn = module(input_size, hidden, layers, bias=bool(bias), bidirectional=bool(bidirectional),
                 batch_first=True, **projection).double()
    with torch.no_grad():
        for p in rnn.parameters():
            p.copy_(rounded(*p.shape))
    padded = ragged_to_padded(lengths, input_size)
    packed = pack_padded_sequence(padded, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    x = packed.data.clone().requires_grad_()
    packed = PackedSequence(x, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    names = ("h", "c") if has_c else ("h",)
    shapes = [(layers * (1 + bidirectional), len(lengths), width) for width in (proj_size or hidden, hidden)]
    before = [rounded(*shape).requires_grad_() for _, shape in zip(names, shapes)]
    y, after = rnn(packed, (tuple(before) if has_c else before[0]) if states else None)
    after = after if has_c else (after,)
    dy, dafter = rounded(*y.data.shape), [rounded(*shape) for _, shape in zip(names, shapes)]
    sum(((value * gradient).sum() for value, gradient in zip(after, dafter)), (y.data * dy).sum()).backward()

    out.case(f"layers{layers}_bidirectional{bidirectional}_bias{bias}_states{states}")
    out.int("shape", [input_size, hidden, layers, bidirectional, bias] + list(projection.values()))
    out.int("lengths", lengths)
    out.real("x", x)
    if states:
        for name, value in zip(names, before):
            out.real(name + "0", value)
    for name, p in rnn.named_parameters():
        out.real(name, p)
    out.real("dy", dy)
    for name, value in zip(names, dafter):
        out.real(f"d{name}_n", value)
    out.real("y", y.data)
    for name, value in zip(names, after):
        out.real(name + "_n", value)
    out.real("dx", x.grad)
    if states:
        for name, value in zip(names, before):
            out.real(f"d{name}0", value.grad)
    for name, p in rnn.named_parameters():
        out.real("d" + name, p.grad)


def write_lstm():
    with Writer("lstm.txt") as out:
        for layers, bidirectional, bias, states in itertools.product((1, 2, 3), (0, 1), (0, 1), (0, 1)):
            write_rnn_case(out, torch.nn.LSTM, [3, 5, 1, 3], layers, bidirectional, bias, states)


def write_other_cells():
    """Each value of each option at least twice."""
    tanh, relu = (functools.partial(torch.nn.RNN, nonlinearity=name) for name in ("tanh", "relu"))
    for name, module in (("gru", torch.nn.GRU), ("rnn_tanh", tanh), ("rnn_relu", relu)):
        with Writer(name + ".txt") as out:
            for options in ((1, 0, 1, 1), (1, 1, 0, 0), (2, 1, 1, 1), (2, 0, 0, 1), (3, 1, 1, 0), (3, 0, 1, 1)):
                write_rnn_case(out, module, [3, 5, 1, 3], *options)


def write_projected_lstm():
    with Writer("projected_lstm.txt") as out:
        for options in ((1, 0, 1, 1), (1, 1, 0, 0), (2, 1, 1, 1), (2, 0, 0, 1), (3, 1, 1, 0), (3, 0, 1, 1)):
            write_rnn_case(out, torch.nn.LSTM, [3, 5, 1, 3], *options, sizes=(4, 4), proj_size=2)


class GruResetBefore(torch.nn.GRU):
    """nn.GRU with r before the product, which PyTorch does not have: one sequence, direction and step at a time."""

    def one_direction(self, layer, suffix, x, h):
        def parameter(name):
            return getattr(self, f"{name}_l{layer}{suffix}", torch.zeros(3 * self.hidden_size, dtype=torch.float64))

        rows, after = range(len(x)), []
        of_n = parameter("weight_hh")[2 * self.hidden_size:]
        for t in reversed(rows) if suffix else rows:
            r, z, n = (parameter("weight_ih") @ x[t] + parameter("bias_ih") + parameter("bias_hh")).chunk(3)
            from_r, from_z, _ = (parameter("weight_hh") @ h).chunk(3)
            r, z = torch.sigmoid(r + from_r), torch.sigmoid(z + from_z)
            h = (1 - z) * torch.tanh(n + of_n @ (r * h)) + z * h
            after.append(h)
        return torch.stack(after[::-1] if suffix else after), h

    def forward(self, packed, before=None):
        padded, lengths = pad_packed_sequence(packed, batch_first=True)
        suffixes = ("", "_reverse")[:1 + self.bidirectional]
        entries = self.num_layers * len(suffixes)
        before = torch.zeros(entries, len(lengths), self.hidden_size, dtype=torch.float64) if before is None else before
        outputs, after = [], [[] for _ in range(entries)]
        for b, length in enumerate(lengths):
            x = padded[b, :length]
            for layer in range(self.num_layers):
                each = []
                for d, suffix in enumerate(suffixes):
                    entry = layer * len(suffixes) + d
                    y, last = self.one_direction(layer, suffix, x, before[entry, b])
                    each.append(y)
                    after[entry].append(last)
                x = torch.cat(each, 1)
            outputs.append(x)
        y = pack_padded_sequence(torch.nn.utils.rnn.pad_sequence(outputs, batch_first=True), lengths, batch_first=True,
                                 enforce_sorted=False)
        return y, torch.stack([torch.stack(states) for states in after])


def write_gru_reset_before():
    with Writer("gru_reset_before.txt") as out:
        for options in ((1, 0, 1, 1), (1, 1, 0, 0), (2, 1, 1, 1), (2, 0, 0, 1), (3, 1, 1, 0), (3, 0, 1, 1)):
            write_rnn_case(out, GruResetBefore, [3, 5, 1, 3], *options)


def write_bindings():
    """The one case that the binding of every language computes."""
    with Writer("bindings.txt") as out:
        write_rnn_case(out, torch.nn.LSTM, [5, 3, 3, 1], layers=2, bidirectional=1, bias=1, states=1)


def write_cross_entropy():
    """F.cross_entropy; without smoothing the same loss is F.nll_loss of the log-softmax, which is checked here."""
    classes = 5
    target_sets = {
        "plain": ([0, 3, 4, 1, 2, 3], -100),
        "ignored": ([0, -100, 4, -100, 2, 3], -100),
        "ignored_in_range": ([0, 3, 4, 3, 2, 3], 3),
        "ignored_above_range": ([0, 7, 4, 1, 7, 7], 7),
        "all_ignored": ([-100] * 6, -100),
        "one_kept": ([-100, -100, 2, -100, -100, -100], -100),
        "no_rows": ([], -100),
    }
    with Writer("cross_entropy.txt") as out:
        for (name, (targets, ignore_index)), weighted, smoothing, reduction in itertools.product(
                target_sets.items(), (0, 1), (0.0, 0.1, 1.0), ("none", "mean", "sum")):
            targets = torch.tensor(targets, dtype=torch.int64)
            logits = rounded(len(targets), classes, scale=4.0).requires_grad_()
            weight = torch.tensor([0.5, 1.0, 2.0, 0.25, 0.0], dtype=torch.float64) if weighted else None
            loss = F.cross_entropy(logits, targets, weight=weight, ignore_index=ignore_index, reduction=reduction,
                                   label_smoothing=smoothing)
            if smoothing == 0.0:
                nll = F.nll_loss(F.log_softmax(logits, 1), targets, weight=weight, ignore_index=ignore_index,
                                 reduction=reduction)
                assert torch.allclose(loss, nll, rtol=1e-14, atol=0, equal_nan=True)
            dout = rounded(*loss.shape) if reduction == "none" else torch.tensor(0.75, dtype=torch.float64)
            loss.backward(dout)
            out.case(f"{name}_weighted{weighted}_smoothing{smoothing}_{reduction}")
            out.int("options", [classes, ignore_index, ("none", "mean", "sum").index(reduction)])
            out.real("smoothing", smoothing)
            out.real("logits", logits)
            out.int("targets", targets)
            if weighted:
                out.real("weight", weight)
            out.real("dout", dout)
            out.real("log_probs", F.log_softmax(logits, 1))
            out.real("loss", loss)
            out.real("dlogits", logits.grad)


def write_embedding():
    with Writer("embedding.txt") as out:
        for padding_idx in (-1, 0, 3):
            table = rounded(6, 3).requires_grad_()
            ids = torch.tensor([3, 0, 5, 3, 3, 1, 0])
            rows = F.embedding(ids, table, padding_idx=None if padding_idx < 0 else padding_idx)
            dy = rounded(*rows.shape)
            rows.backward(dy)
            out.case(f"padding_idx{padding_idx}")
            out.int("padding_idx", [padding_idx])
            out.int("ids", ids)
            for name, value in (("table", table), ("y", rows), ("dy", dy), ("dtable", table.grad)):
                out.real(name, value)


def write_optimizers():
    steps, count = 5, 7
    sgd = [dict(lr=0.1), dict(lr=0.1, momentum=0.9), dict(lr=0.1, momentum=0.9, nesterov=True),
           dict(lr=0.05, weight_decay=0.01), dict(lr=0.1, momentum=0.8, weight_decay=0.1),
           dict(lr=0.1, momentum=0.8, weight_decay=0.1, nesterov=True)]
    adam = [dict(lr=0.01), dict(lr=0.01, weight_decay=0.1), dict(lr=0.02, betas=(0.5, 0.9), eps=1e-3)]
    cases = [("sgd", torch.optim.SGD, options) for options in sgd]
    cases += [("adam", torch.optim.Adam, options) for options in adam]
    cases += [("adamw", torch.optim.AdamW, dict(weight_decay=0.0, **options) if "weight_decay" not in options
               else options) for options in adam]
    with Writer("optimizers.txt") as out:
        for number, (name, optimizer_class, options) in enumerate(cases):
            params = rounded(count).requires_grad_()
            grads = rounded(steps, count)
            optimizer = optimizer_class([params], **options)
            out.case(f"{name}_{number}")
            out.real("lr", options["lr"])
            out.real("weight_decay", options.get("weight_decay", 0.0))
            out.real("momentum", options.get("momentum", 0.0))
            out.int("nesterov", [int(options.get("nesterov", False))])
            out.real("betas", options.get("betas", (0.9, 0.999)))
            out.real("eps", options.get("eps", 1e-8))
            out.real("params", params)
            out.real("grads", grads)
            trace = torch.empty(steps, count, dtype=torch.float64)
            for step in range(steps):
                params.grad = grads[step].clone()
                optimizer.step()
                trace[step] = params.detach()
            out.real("trace", trace)


def write_clipping():
    with Writer("clipping.txt") as out:
        for max_norm in (0.5, 1.0, 1000.0, 0.0):
            params = torch.zeros(9, dtype=torch.float64, requires_grad=True)
            params.grad = rounded(9)
            out.case(f"max_norm{max_norm}")
            out.real("max_norm", max_norm)
            out.real("grads", params.grad)
            out.real("norm", clip_grad_norm_([params], max_norm))
            out.real("clipped", params.grad)


class TutorialTagger(torch.nn.Module):
    """The network of the tutorial: pad, embed, pack, LSTM, unpack, flatten, linear, log-softmax, mask by tag > 0."""

    def __init__(self, words=10, tags=6, features=3, hidden=20):
        super().__init__()
        self.embedding = torch.nn.Embedding(words, features, padding_idx=0)
        self.lstm = torch.nn.LSTM(features, hidden, 1, batch_first=True)
        self.linear = torch.nn.Linear(hidden, tags)

    def forward(self, padded_x, lengths, state):
        x = self.embedding(padded_x)
        packed, _ = self.lstm(pack_padded_sequence(x, lengths, batch_first=True), state)
        y, _ = pad_packed_sequence(packed, batch_first=True)
        y = self.linear(y.contiguous().view(-1, y.shape[2]))
        return F.log_softmax(y, dim=1).view(padded_x.shape[0], padded_x.shape[1], -1)

    @staticmethod
    def loss(log_probs, padded_y):
        y = padded_y.view(-1)
        log_probs = log_probs.view(-1, log_probs.shape[-1])
        mask = (y > 0).to(log_probs.dtype)
        tokens = int(mask.sum().item())
        return -(log_probs[range(log_probs.shape[0]), y] * mask).sum() / tokens


def write_tutorial():
    x = [[1, 2, 3, 4, 5, 6, 7], [8, 8], [7, 9]]
    y = [[1, 2, 3, 3, 3, 1, 4], [5, 5], [4, 5]]
    lengths = [len(s) for s in x]
    padded_x = torch.zeros(3, 7, dtype=torch.int64)
    padded_y = torch.zeros(3, 7, dtype=torch.int64)
    for b, length in enumerate(lengths):
        padded_x[b, :length] = torch.tensor(x[b])
        padded_y[b, :length] = torch.tensor(y[b])
    model = TutorialTagger().double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(rounded(*p.shape, scale=0.5))
    # The tutorial draws the initial state; here it stands in the file.
    state = (rounded(1, 3, 20), rounded(1, 3, 20))
    lr, steps = 0.5, 50
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    with Writer("tutorial.txt") as out:
        out.case("tutorial")
        out.int("lengths", lengths)
        out.int("x", padded_x)
        out.int("y", padded_y)
        out.real("h0", state[0])
        out.real("c0", state[1])
        out.real("lr", lr)
        for name, p in model.named_parameters():
            out.real(name, p)
        for step in range(steps):
            optimizer.zero_grad()
            loss = model.loss(model(padded_x, torch.tensor(lengths), state), padded_y)
            loss.backward()
            losses.append(loss.item())
            if step == 0:
                for name, p in model.named_parameters():
                    out.real("d" + name, p.grad)
            optimizer.step()
        for name, p in model.named_parameters():
            out.real("final_" + name, p)
        out.real("losses", losses)


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for write in (write_packing, write_lstm, write_cross_entropy, write_embedding, write_optimizers, write_clipping,
                  write_tutorial, write_bindings, write_other_cells, write_projected_lstm, write_gru_reset_before):
        write()


if __name__ == "__main__":
    main()
