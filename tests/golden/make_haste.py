#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes layer_norm_lstm.txt and layer_norm_gru.txt: what haste's layer-normalised cells compute, in double on the CPU.

    git clone https://github.com/lmnt-com/haste && git -C haste checkout ceba32ecd3735062f25e56b08ef3143caa086753
    python3 make_haste.py haste          (needs torch alone: without a GPU haste's modules use no library of their own)

The format and the order of rows are those of write_rnn_case of make_golden.py, with the parameters' names and gates as
varlstm.h has them. haste has one layer, one direction and always a bias, of an LSTM one alone. So layers and directions
are modules of their own, a sequence is turned round for the backward direction, no bias is a bias of zeros, and b_hh of
an LSTM is zeros, whose gradient is that of b_ih.
"""
import importlib
import os
import sys
import types

import torch
from torch.nn.utils.rnn import pack_padded_sequence

import make_golden
from make_golden import ragged_to_padded, rounded

COMMIT = "ceba32e"
INPUT, HIDDEN, LENGTHS = 2, 3, [3, 5, 1, 3]
ORDERS = {"lstm": (0, 2, 1, 3), "gru": (1, 0, 2)}  # where haste has our gates: i, g, f, o and z, r, n


class Writer(make_golden.Writer):
    def __init__(self, name):
        self.file = open(os.path.join(make_golden.HERE, name), "w", encoding="ascii")
        self.file.write(f"# haste at {COMMIT} on PyTorch {torch.__version__}, float64, made by make_haste.py\n")


def haste_modules(checkout):
    package = types.ModuleType("haste_pytorch")  # without its __init__, which needs a build
    package.__path__ = [os.path.join(checkout, "frameworks", "pytorch")]
    sys.modules["haste_pytorch"] = package
    sys.modules["haste_pytorch_lib"] = types.ModuleType("haste_pytorch_lib")
    return {"lstm": importlib.import_module("haste_pytorch.layer_norm_lstm").LayerNormLSTM,
            "gru": importlib.import_module("haste_pytorch.layer_norm_gru").LayerNormGRU}


def in_our_order(cell, tensor):
    """[GH, ...], from haste's order of gates."""
    gates = tensor.split(HIDDEN)
    return torch.cat([gates[place] for place in ORDERS[cell]])


def tensors(cell, module, bias, value_of):
    """The tensors of one layer and direction by name, as varlstm_rnn_param_info lists them."""
    of = {name: value_of(parameter) for name, parameter in module.named_parameters()}
    ours = {"weight_ih": of["kernel"].T, "weight_hh": of["recurrent_kernel"].T}
    if bias:
        ours["bias_ih"] = of["bias"]
        ours["bias_hh"] = of.get("recurrent_bias", of["bias"])
    ours.update(norm_ih=of["gamma"][0], norm_hh=of["gamma"][1])
    ours = {name: in_our_order(cell, tensor) for name, tensor in ours.items()}
    if cell == "lstm":
        ours.update(norm_c=of["gamma_h"], norm_c_bias=of["beta_h"])
    return ours


def run(modules, layers, directions, x, before):
    """x [T, I] of one sequence; before: a tuple of states [L*D, H]. Returns y [T, D*H] and the states after it."""
    after = []
    for layer in range(layers):
        outputs = []
        for d in range(directions):
            at = layer * directions + d
            states = tuple(state[at].view(1, 1, HIDDEN) for state in before)
            rows = x.flip(0) if d == 1 else x
            y, last = modules[at](rows[:, None], states if len(states) == 2 else states[0])
            outputs.append(y[:, 0].flip(0) if d == 1 else y[:, 0])
            after.append([state.view(HIDDEN) for state in (last if len(states) == 2 else (last,))])
        x = torch.cat(outputs, 1)
    return x, [torch.stack(states) for states in zip(*after)]


def write_case(out, cell, module, layers, bidirectional, bias, states):
    directions, names = 1 + bidirectional, ("h", "c") if cell == "lstm" else ("h",)
    modules = []
    for at in range(layers * directions):
        modules.append(module(INPUT if at < directions else HIDDEN * directions, HIDDEN).double())
        with torch.no_grad():
            for name, p in modules[-1].named_parameters():
                p.copy_(torch.zeros_like(p) if name.endswith("bias") and not bias else rounded(*p.shape))
    padded = ragged_to_padded(LENGTHS, INPUT)
    for b, length in enumerate(LENGTHS):
        padded[b, length:] = 0
    padded.requires_grad_()
    shape = (layers * directions, len(LENGTHS), HIDDEN)
    before = [(rounded(*shape) if states else torch.zeros(shape, dtype=torch.float64)).requires_grad_() for _ in names]
    results = [run(modules, layers, directions, padded[b, :length], tuple(state[:, b] for state in before))
               for b, length in enumerate(LENGTHS)]
    after = [torch.stack([states[k] for _, states in results], 1) for k in range(len(names))]

    def packed(rows):
        return pack_padded_sequence(torch.nn.utils.rnn.pad_sequence(rows, True), torch.tensor(LENGTHS),
                                    batch_first=True, enforce_sorted=False).data

    y = packed([rows for rows, _ in results])
    dy, dafter = rounded(*y.shape), [rounded(*shape) for _ in names]
    sum(((value * gradient).sum() for value, gradient in zip(after, dafter)), (y * dy).sum()).backward()

    def write_parameters(prefix, value_of):
        for at, one in enumerate(modules):
            place = f"_l{at // directions}" + ("_reverse" if at % directions else "")
            for name, tensor in tensors(cell, one, bias, value_of).items():
                is_second = cell == "lstm" and name == "bias_hh" and not prefix
                out.real(prefix + name + place, torch.zeros_like(tensor) if is_second else tensor)

    out.case(f"layers{layers}_bidirectional{bidirectional}_bias{bias}_states{states}")
    out.int("shape", [INPUT, HIDDEN, layers, bidirectional, bias])
    out.int("lengths", LENGTHS)
    out.real("x", packed([padded[b, :length] for b, length in enumerate(LENGTHS)]))
    if states:
        for name, value in zip(names, before):
            out.real(name + "0", value)
    write_parameters("", lambda parameter: parameter)
    out.real("dy", dy)
    for name, value in zip(names, dafter):
        out.real(f"d{name}_n", value)
    out.real("y", y)
    for name, value in zip(names, after):
        out.real(name + "_n", value)
    out.real("dx", packed([padded.grad[b, :length] for b, length in enumerate(LENGTHS)]))
    if states:
        for name, value in zip(names, before):
            out.real(f"d{name}0", value.grad)
    write_parameters("d", lambda parameter: parameter.grad)


def main():
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for cell, module in haste_modules(sys.argv[1]).items():
        with Writer(f"layer_norm_{cell}.txt") as out:
            for options in ((1, 0, 1, 1), (1, 1, 0, 0), (2, 1, 1, 1)):
                write_case(out, cell, module, *options)


if __name__ == "__main__":
    main()
