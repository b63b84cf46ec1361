#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes keras.txt and onnx.txt: what Keras and ONNX Runtime compute, each from parameters in its own layout.

    python3 -m venv peers && peers/bin/pip install keras torch onnx onnxruntime && peers/bin/python make_peers.py

The format is that of make_golden.py. A case has, in this order of layers and directions, the tensors that
varlstm_rnn_import takes: kernel_ih_l0, kernel_hh_l0, bias_ih_l0 and, if the layout has two biases, bias_hh_l0; with
"_reverse" for the backward direction. x and y are ragged: sequence after sequence. Keras computes in double and gives
gradients, by its torch back end. ONNX Runtime has these operators in float alone, and no gradients; sequences that end
are told to it by sequence_lens.
"""
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
CELLS = ("LSTM", "GRU", "RNN_TANH", "RNN_RELU", "GRU_RESET_BEFORE")  # by their numbers in varlstm_cell
GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1, "GRU_RESET_BEFORE": 3}
LATER = {"GRU_RESET_BEFORE": 2}  # seeds of cells that came later: the numbers of the others stay as they were
OPTIONS = ((1, 0, 1, 1), (1, 1, 0, 0), (2, 1, 1, 1))  # layers, bidirectional, bias, states
KERAS_LENGTHS = (3, 5, 0, 1, 3)
ONNX_LENGTHS = (3, 5, 1, 3)  # a sequence of length 0 would end with states of zeros there, whatever its initial ones
INPUT, HIDDEN = 2, 3
random = np.random.default_rng(1)


def write_cells(out, write_case):
    global random
    first = random
    for cell in CELLS:
        random = np.random.default_rng(LATER[cell]) if cell in LATER else first
        for options in OPTIONS:
            write_case(out, cell, options)
    random = first


def rounded(*shape):
    """Uniform in [-1, 1], 3 decimals."""
    return random.integers(-1000, 1001, shape) / 1000


class Writer:
    def __init__(self, name, versions, lengths):
        self.lengths = lengths
        self.file = open(os.path.join(HERE, name), "w", encoding="ascii")
        self.file.write(f"# {versions}, made by make_peers.py\n")

    def case(self, cell, options):
        layers, bidirectional, bias, states = options
        self.file.write(f"case {cell}_layers{layers}_bidirectional{bidirectional}_bias{bias}_states{states}\n")
        self.int("cell", [CELLS.index(cell)])
        self.int("shape", [INPUT, HIDDEN, layers, bidirectional, bias])
        self.int("lengths", self.lengths)

    def int(self, name, values):
        self.file.write(f"int {name} {len(values)} {' '.join(map(str, values))}\n")

    def real(self, name, array):
        """A float32 has fewer digits than a float64: the shortest text that reads back as the same value."""
        array = np.asarray(array)
        shape, values = "x".join(map(str, array.shape)), " ".join(str(value) for value in array.reshape(-1))
        self.file.write(f"real {name} {shape} {values}\n")

    def ragged(self, name, padded):
        """padded [B, T, F]."""
        self.real(name, np.concatenate([padded[b, :length] for b, length in enumerate(self.lengths)]))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()


def input_of(layer, bidirectional):
    return INPUT if layer == 0 else HIDDEN * (1 + bidirectional)


# --- Keras: kernel [in, GH], recurrent_kernel [H, GH], bias [GH], of a GRU with reset_after [2, 3H]

def keras_layers(cell, options):
    """The stacked layers, and the numbers of weights a direction."""
    count, bidirectional, bias, _ = options
    made = []
    for layer in range(count):
        arguments = {"use_bias": bool(bias), "return_sequences": True, "return_state": True}
        if cell == "LSTM":
            one = keras.layers.LSTM(HIDDEN, **arguments)
        elif cell[:3] == "GRU":
            one = keras.layers.GRU(HIDDEN, reset_after=cell == "GRU", **arguments)
        else:
            one = keras.layers.SimpleRNN(HIDDEN, activation=cell[4:].lower(), **arguments)
        one = keras.layers.Bidirectional(one) if bidirectional else one
        one.build((len(KERAS_LENGTHS), max(KERAS_LENGTHS), input_of(layer, bidirectional)))
        one.set_weights([rounded(*weight.shape) for weight in one.get_weights()])
        made.append(one)
    return made


def write_keras_weights(out, layers, options, prefix, value_of):
    _, bidirectional, bias, _ = options
    for number, layer in enumerate(layers):
        weights = layer.trainable_weights
        half = len(weights) // (1 + bidirectional)
        for direction, suffix in enumerate(("", "_reverse")[:1 + bidirectional]):
            kernel, recurrent, *biases = [value_of(weight) for weight in weights[direction * half:][:half]]
            place = f"_l{number}{suffix}"
            out.real(f"{prefix}kernel_ih{place}", kernel)
            out.real(f"{prefix}kernel_hh{place}", recurrent)
            for one in biases:
                rows = one if one.ndim == 2 else one[None]  # b_ih and b_hh of a GRU
                for name, row in zip(("ih", "hh"), rows):
                    out.real(f"{prefix}bias_{name}{place}", row)


def write_keras_case(out, cell, options):
    count, bidirectional, _, states = options
    kinds = ("h", "c") if cell == "LSTM" else ("h",)
    batch, steps, directions = len(KERAS_LENGTHS), max(KERAS_LENGTHS), 1 + bidirectional
    layers = keras_layers(cell, options)
    mask = torch.arange(steps)[None] < torch.tensor(KERAS_LENGTHS)[:, None]
    x = torch.tensor(np.where(mask[..., None], rounded(batch, steps, INPUT), 0)).requires_grad_()
    before = {kind: torch.tensor(rounded(count * directions, batch, HIDDEN)).requires_grad_() for kind in kinds}
    y, after = x, {kind: [] for kind in kinds}
    for number, layer in enumerate(layers):
        initial = [before[kind][number * directions + d] for d in range(directions) for kind in kinds]
        y, *last = layer(y, mask=mask, initial_state=initial if states else None)
        for k, state in enumerate(last):  # of the forward direction h, c, then of the backward one
            after[kinds[k % len(kinds)]].append(state)
    after = {kind: torch.stack(value) for kind, value in after.items()}
    dy, dafter = torch.tensor(rounded(*y.shape)), {kind: torch.tensor(rounded(*after[kind].shape)) for kind in kinds}
    loss = (y * dy * mask[..., None]).sum() + sum((after[kind] * dafter[kind]).sum() for kind in kinds)
    loss.backward()
    assert y.dtype == torch.float64 and y.shape[2] == HIDDEN * directions

    def array(tensor):
        return tensor.detach().numpy()

    out.case(cell, options)
    out.ragged("x", array(x))
    if states:
        for kind in kinds:
            out.real(kind + "0", array(before[kind]))
    write_keras_weights(out, layers, options, "", lambda weight: array(weight.value))
    out.ragged("dy", array(dy))
    for kind in kinds:
        out.real(f"d{kind}_n", array(dafter[kind]))
    out.ragged("y", array(y))
    for kind in kinds:
        out.real(kind + "_n", array(after[kind]))
    out.ragged("dx", array(x.grad))
    if states:
        for kind in kinds:
            out.real(f"d{kind}0", array(before[kind].grad))
    write_keras_weights(out, layers, options, "d", lambda weight: array(weight.value.grad))


def write_keras():
    versions = f"Keras {keras.__version__}, float64, on PyTorch {torch.__version__}"
    with Writer("keras.txt", versions, KERAS_LENGTHS) as out:
        write_cells(out, write_keras_case)


# --- ONNX: W [D, GH, in], R [D, GH, H], B [D, 2GH]: Wb, then Rb

def onnx_model(cell, options, weights):
    """X [T, B, I], sequence_lens [B], initial_h, initial_c [L, D, B, H] -> Y [T, B, D*H], Y_h, Y_c [L, D, B, H]."""
    count, bidirectional, bias, states = options
    kinds = ("h", "c") if cell == "LSTM" else ("h",)
    directions = 1 + bidirectional
    nodes, constants, x = [], [], "X"

    def constant(name, array):
        constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    for layer, tensors in enumerate(weights):
        initial = [""] * len(kinds)
        for k, kind in enumerate(kinds if states else ()):
            initial[k] = f"initial_{kind}{layer}"
            index = constant(f"{initial[k]}_index", np.array(layer))
            nodes.append(helper.make_node("Gather", [f"initial_{kind}", index], [initial[k]], axis=0))
        attributes = {"hidden_size": HIDDEN, "direction": "bidirectional" if bidirectional else "forward"}
        if cell[:3] == "GRU":
            attributes["linear_before_reset"] = 1 if cell == "GRU" else 0
        elif cell != "LSTM":
            attributes["activations"] = [cell[4:].capitalize()] * directions
        inputs = [x, *(constant(f"{name}{layer}", array) for name, array in tensors.items())] + [""] * (not bias)
        after = [f"Y_{kind}{layer}" for kind in kinds]
        nodes.append(helper.make_node(cell if cell == "LSTM" else cell[:3], [*inputs, "sequence_lens", *initial],
                                      [f"Y{layer}", *after], **attributes))
        nodes.append(helper.make_node("Transpose", [f"Y{layer}"], [f"rows{layer}"], perm=[0, 2, 1, 3]))
        x = f"X{layer + 1}" if layer + 1 < count else "Y"
        shape = constant(f"shape{layer}", np.array([0, 0, directions * HIDDEN]))
        nodes.append(helper.make_node("Reshape", [f"rows{layer}", shape], [x]))
    for kind in kinds:
        axis = constant(f"axis_{kind}", np.array([0]))
        for layer in range(count):
            nodes.append(helper.make_node("Unsqueeze", [f"Y_{kind}{layer}", axis], [f"Y_{kind}{layer}_4"]))
        each = [f"Y_{kind}{layer}_4" for layer in range(count)]
        nodes.append(helper.make_node("Concat", each, [f"Y_{kind}"], axis=0))
    states4, rows3 = [count, directions, len(ONNX_LENGTHS), HIDDEN], [max(ONNX_LENGTHS), len(ONNX_LENGTHS)]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [*rows3, INPUT]),
              helper.make_tensor_value_info("sequence_lens", TensorProto.INT32, [len(ONNX_LENGTHS)])]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [*rows3, directions * HIDDEN])]
    for kind in kinds:
        if states:
            inputs.append(helper.make_tensor_value_info(f"initial_{kind}", TensorProto.FLOAT, states4))
        outputs.append(helper.make_tensor_value_info(f"Y_{kind}", TensorProto.FLOAT, states4))
    model = helper.make_model(helper.make_graph(nodes, "peer", inputs, outputs, constants),
                              opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def write_onnx_case(out, cell, options):
    count, bidirectional, bias, states = options
    kinds = ("h", "c") if cell == "LSTM" else ("h",)
    directions, gates = 1 + bidirectional, GATES[cell] * HIDDEN
    weights = []
    for layer in range(count):
        shapes = {"W": (gates, input_of(layer, bidirectional)), "R": (gates, HIDDEN)}
        if bias:
            shapes["B"] = (2 * gates,)
        weights.append({name: rounded(directions, *shape).astype(np.float32) for name, shape in shapes.items()})
    x = rounded(max(ONNX_LENGTHS), len(ONNX_LENGTHS), INPUT).astype(np.float32)
    feed = {"X": x, "sequence_lens": np.array(ONNX_LENGTHS, np.int32)}
    if states:
        for kind in kinds:
            feed[f"initial_{kind}"] = rounded(count, directions, len(ONNX_LENGTHS), HIDDEN).astype(np.float32)
    session = onnxruntime.InferenceSession(onnx_model(cell, options, weights), providers=["CPUExecutionProvider"])
    y, *after = session.run(["Y", *(f"Y_{kind}" for kind in kinds)], feed)

    out.case(cell, options)
    out.ragged("x", x.swapaxes(0, 1))
    if states:
        for kind in kinds:
            out.real(kind + "0", feed[f"initial_{kind}"].reshape(count * directions, len(ONNX_LENGTHS), HIDDEN))
    for layer, tensors in enumerate(weights):
        for direction, suffix in enumerate(("", "_reverse")[:directions]):
            place = f"_l{layer}{suffix}"
            out.real("kernel_ih" + place, tensors["W"][direction])
            out.real("kernel_hh" + place, tensors["R"][direction])
            if bias:
                out.real("bias_ih" + place, tensors["B"][direction, :gates])
                out.real("bias_hh" + place, tensors["B"][direction, gates:])
    out.ragged("y", y.swapaxes(0, 1))
    for kind, state in zip(kinds, after):
        out.real(kind + "_n", state.reshape(count * directions, len(ONNX_LENGTHS), HIDDEN))


def write_onnx():
    versions = f"ONNX Runtime {onnxruntime.__version__}, float32, models by onnx {onnx.__version__}"
    with Writer("onnx.txt", versions, ONNX_LENGTHS) as out:
        write_cells(out, write_onnx_case)


def main():
    torch.set_num_threads(1)
    keras.config.set_floatx("float64")
    # Keras rounds the operands of products to float32, unless TensorFlow computes them. Here they stay as they are.
    keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    write_keras()
    write_onnx()


if __name__ == "__main__":
    main()
