"""The tutorial's network through the package alone: three sentences from token ids to the masked loss, and 50 steps."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

import varlstm
from golden import read_golden

TOLERANCE = {"rtol": 1e-6, "atol": 1e-12}  # as in tutorial_test.cc
GROUPS = {"embedding": ["embedding.weight"], "linear": ["linear.weight"], "bias": ["linear.bias"],
          "lstm": [f"lstm.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]}


class Tagger:
    """Embedding, LSTM, linear layer and masked loss over the packed tokens; padding_idx and the ignored tag are 0."""

    def __init__(self, context: varlstm.Context, golden: dict, loss: str):
        self.context, self.way = context, loss
        self.batch = varlstm.Batch(context, golden["lengths"])
        sentences, steps = len(golden["lengths"]), int(golden["lengths"].max())
        self.ids, self.tags = (varlstm.pack(self.batch, context.array(golden[item].reshape(sentences, steps)))
                               for item in ("x", "y"))
        self.h0, self.c0 = context.array(golden["h0"]), context.array(golden["c0"])
        self.lstm = varlstm.Rnn(context, 3, 20, dtype="f64")
        self.loss = varlstm.Loss(context, 6, ignore_index=0)

    def head(self, y, weight, bias):
        """Loss, and gradients of y, weight and bias, in the three ways that the library has for it."""
        if self.way == "fused":
            out, _, lse = self.loss.linear_cross_entropy_forward(y, weight, bias, self.tags)
            return out, self.loss.linear_cross_entropy_backward(y, weight, bias, self.tags, lse)
        logits = varlstm.linear_forward(self.context, y, weight, bias)
        if self.way == "cross_entropy":
            out, _, dlogits = self.loss.cross_entropy_forward(logits, self.tags)
            self.loss.cross_entropy_backward(dlogits)
        else:
            log_probs = varlstm.log_softmax_forward(self.context, logits)
            out, _ = self.loss.nll_forward(log_probs, self.tags)
            dlog_probs = self.loss.nll_backward(self.tags, dtype="f64")
            dlogits = varlstm.log_softmax_backward(self.context, log_probs, dlog_probs)
        return out, varlstm.linear_backward(self.context, y, weight, dlogits)

    def step(self, params: dict) -> tuple[float, dict]:
        """The loss, and the gradients of all parameters."""
        x = varlstm.embedding_forward(self.context, params["embedding"], self.ids)
        y, _, _, reserve = self.lstm.forward(self.batch, params["lstm"], x, self.h0, self.c0, mode="save")
        out, (dy, dweight, dbias) = self.head(y, params["linear"], params["bias"])
        dx, _, _, dlstm = self.lstm.backward(self.batch, params["lstm"], x, y, reserve, h0=self.h0, c0=self.c0, dy=dy,
                                             dh0=False, dc0=False)
        dtable = varlstm.embedding_backward(self.context, self.ids, dx, vocab=10, padding_idx=0)
        return float(self.context.numpy(out)[0]), {"embedding": dtable, "lstm": dlstm, "linear": dweight, "bias": dbias}


@pytest.fixture
def golden() -> dict:
    return read_golden("tutorial.txt")["tutorial"]


def group(golden: dict, prefix: str, name: str) -> np.ndarray:
    """A parameter; those of the LSTM flat, as the library takes them."""
    items = [golden[prefix + item] for item in GROUPS[name]]
    return items[0] if len(items) == 1 else np.concatenate([item.ravel() for item in items])


@pytest.mark.parametrize("loss", ["nll", "cross_entropy", "fused"])
def test_loss_and_every_gradient_are_pytorchs(context, golden, loss):
    params = {name: context.array(group(golden, "", name)) for name in GROUPS}
    value, gradients = Tagger(context, golden, loss).step(params)
    np.testing.assert_allclose(value, golden["losses"][0], **TOLERANCE)
    for name in GROUPS:
        np.testing.assert_allclose(context.numpy(gradients[name]), group(golden, "d", name), err_msg=name, **TOLERANCE)


def test_fifty_steps_of_sgd_are_pytorchs(context, golden):
    tagger = Tagger(context, golden, "fused")
    params = {name: context.array(group(golden, "", name)) for name in GROUPS}
    losses = []
    for _ in range(50):
        value, gradients = tagger.step(params)
        losses.append(value)
        for name in GROUPS:
            varlstm.sgd_step(context, params[name], gradients[name], lr=float(golden["lr"][0]))
    np.testing.assert_allclose(losses, golden["losses"], **TOLERANCE)
    for name in GROUPS:
        expected = group(golden, "final_", name)
        np.testing.assert_allclose(context.numpy(params[name]), expected, err_msg=name, **TOLERANCE)
