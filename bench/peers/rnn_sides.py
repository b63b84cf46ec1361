"""The ways to run one recurrent layer over a batch of sequences on a CPU, which rnn_cpu.py times: this library by its C
ABI and by varlstm.torch, PyTorch's module over packed and over padded input, and ONNX Runtime with sequence_lens.

A side has the weights of one torch module. `forward(k)` and `train(k)` run batch k, and `results(k)` are what it computes:
y of every token, packed, and the gradients, if it trains, of x and of all parameters.

SPDX-License-Identifier: Apache-2.0
"""
import copy
import sys

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import c_abi
import measure

sys.path.insert(0, measure.ROOT + "/capi/python")

from varlstm.torch import prepared_weights, replace_rnn  # noqa: E402


class Work:
    """Batches of random x and dy, packed and padded. lengths: of each batch, longest first."""

    def __init__(self, lengths, size, outputs):
        self.lengths = lengths
        self.packs, self.dys, self.padded, self.padded_dys = [], [], [], []
        for of_batch in lengths:
            count = torch.tensor(of_batch)
            padded, dy = torch.randn(max(of_batch), len(of_batch), size), torch.randn(max(of_batch), len(of_batch), outputs)
            padded *= (torch.arange(max(of_batch)).unsqueeze(1) < count).unsqueeze(2)
            pack = pack_padded_sequence(padded, count)
            self.packs.append(PackedSequence(pack.data.requires_grad_(), *pack[1:]))
            self.dys.append(pack_padded_sequence(dy, count).data)
            self.padded.append(padded.clone().requires_grad_())
            self.padded_dys.append(pad_packed_sequence(PackedSequence(self.dys[-1], pack.batch_sizes))[0])
        self.tokens = sum(map(sum, lengths))

    def packed(self, padded, k):
        return pack_padded_sequence(padded, torch.tensor(self.lengths[k])).data


class TorchPacked:
    trains = True

    def __init__(self, module, work):
        self.module, self.work = module, work

    def set_threads(self, threads):
        torch.set_num_threads(threads)

    def forward(self, k):
        with torch.no_grad():
            return self.module(self.work.packs[k])[0].data

    def train(self, k):
        pack = self.work.packs[k]
        pack.data.grad = None
        self.clear()
        output = self.module(pack)[0].data
        output.backward(self.work.dys[k])
        return output

    def clear(self):
        for parameter in self.module.parameters():
            parameter.grad = None

    def results(self, k):
        y = self.train(k).detach()
        return {"y": y, "y without gradients": self.forward(k), "dx": self.work.packs[k].data.grad.clone(),
                "dparams": torch.cat([parameter.grad.reshape(-1) for parameter in self.module.parameters()])}


class TorchPadded(TorchPacked):
    """Padding is computed as if it were data: the same results where it comes after the tokens, in one direction."""

    def forward(self, k):
        with torch.no_grad():
            return self.module(self.work.padded[k])[0]

    def train(self, k):
        x = self.work.padded[k]
        x.grad = None
        self.clear()
        output = self.module(x)[0]
        output.backward(self.work.padded_dys[k])
        return output

    def results(self, k):
        y = self.work.packed(self.train(k).detach(), k)
        return {"y": y, "y without gradients": self.work.packed(self.forward(k), k),
                "dx": self.work.packed(self.work.padded[k].grad, k),
                "dparams": torch.cat([parameter.grad.reshape(-1) for parameter in self.module.parameters()])}


class OurTorch(TorchPacked):
    def __init__(self, module, work):
        super().__init__(replace_rnn(copy.deepcopy(module)), work)


class OurCAbi:
    """Forward has its weights prepared once, as ONNX Runtime has; training does not, because its weights change."""
    trains = True

    def __init__(self, module, work, library):
        self.work = work
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
        self.batches = {}
        for threads in measure.THREADS:
            rnn = c_abi.Rnn(library, module.mode, module.input_size, module.hidden_size, 1 + module.bidirectional, threads)
            rnn.params.copy_(flat)
            rnn.prepare()
            self.batches[threads] = [rnn.batch(lengths) for lengths in work.lengths]
        self.set_threads(1)

    def set_threads(self, threads):
        self.threads = threads

    def forward(self, k):
        self.batches[self.threads][k].forward(self.work.packs[k].data.detach())

    def train(self, k):
        self.batches[self.threads][k].forward_backward(self.work.packs[k].data.detach(), self.work.dys[k])

    def results(self, k):
        batch = self.batches[self.threads][k]
        self.forward(k)
        results = {"y without gradients": batch.y.clone()}
        self.train(k)
        return {**results, "y": batch.y.clone(), "dx": batch.dx.clone(), "dparams": batch.rnn.dparams.clone()}


class OnnxRuntime:
    """A model of one node, whose weights are constants, so that the runtime packs them once."""
    trains = False
    ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}  # of ONNX's gates among torch's

    def __init__(self, module, work):
        import onnxruntime  # pylint: disable=import-outside-toplevel
        self.work = work
        model = self.model(module)
        self.sessions = {}
        for threads in measure.THREADS:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            self.sessions[threads] = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.feeds = [{"X": padded.detach().numpy(), "lengths": torch.tensor(lengths, dtype=torch.int32).numpy()}
                      for padded, lengths in zip(work.padded, work.lengths)]
        self.set_threads(1)

    def model(self, module):
        from onnx import TensorProto, helper, numpy_helper  # pylint: disable=import-outside-toplevel
        directions, order = 1 + module.bidirectional, self.ORDERS[module.mode]
        places = ["_l0", "_l0_reverse"][:directions]

        def gathered(name):
            matrices = [getattr(module, name + place).detach() for place in places]
            return [torch.cat([matrix.chunk(len(order))[gate] for gate in order]) for matrix in matrices]

        constants = {"W": torch.stack(gathered("weight_ih")), "R": torch.stack(gathered("weight_hh")),
                     "B": torch.stack([torch.cat(pair) for pair in zip(gathered("bias_ih"), gathered("bias_hh"))])}
        node = helper.make_node(module.mode, ["X", "W", "R", "B", "lengths"], ["Y"], hidden_size=module.hidden_size,
                                direction="bidirectional" if directions == 2 else "forward",
                                **({"linear_before_reset": 1} if module.mode == "GRU" else {}))
        graph = helper.make_graph(
            [node], "layer",
            [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", module.input_size]),
             helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"])],
            [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["T", directions, "B", module.hidden_size])],
            [numpy_helper.from_array(value.numpy(), name) for name, value in constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
        return model.SerializeToString()

    def set_threads(self, threads):
        self.threads = threads

    def forward(self, k):
        return self.sessions[self.threads].run(["Y"], self.feeds[k])[0]

    def results(self, k):
        y = torch.from_numpy(self.forward(k))
        return {"y without gradients": self.work.packed(y.transpose(1, 2).flatten(2), k)}


def has_onnxruntime():
    try:
        import onnx  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
        import onnxruntime  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        return False
    return True


def make_sides(module, work, library):
    """{name: side}; those of this library first."""
    sides = {"C ABI": OurCAbi(module, work, library), "varlstm.torch": OurTorch(module, work),
             "torch packed": TorchPacked(module, work)}
    if not module.bidirectional:
        sides["torch padded"] = TorchPadded(module, work)
    if has_onnxruntime():
        sides["ONNX Runtime"] = OnnxRuntime(module, work)
    return sides


OURS = ("C ABI", "varlstm.torch")
