"""A part-of-speech tagger in PyTorch over varlstm.torch, trained by several processes on the CPU, or by one.

    PYTHONPATH=capi/python python3 capi/python/examples/tagger_ddp.py --processes 2 --steps 60

Each process takes its share of the sentences of a step. The shares have different numbers of tokens, so a mean within
each would weigh the tokens of a short share more. Here the loss is divided by the tokens of all shares, and the
gradients equal those of one process that has all sentences.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import contextlib
import pathlib
import tempfile
from typing import List, Tuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from varlstm.torch import LSTM, log_softmax, nll_loss

PAD = 0  # the word and the tag of a padded position
TEXT = """the/DET farmer/NOUN walked/VERB across/ADP the/DET old/ADJ bridge/NOUN
rain/NOUN fell/VERB
birds/NOUN sing/VERB
the/DET old/ADJ farmer/NOUN saw/VERB two/NUM birds/NOUN and/CONJ they/PRON sang/VERB across/ADP the/DET river/NOUN
she/PRON walked/VERB slowly/ADV
two/NUM farmers/NOUN crossed/VERB the/DET river/NOUN and/CONJ rain/NOUN fell/VERB slowly/ADV
they/PRON sing/VERB and/CONJ she/PRON saw/VERB the/DET bridge/NOUN
walk/VERB"""

Sentence = Tuple[List[int], List[int]]  # words, tags


def read_sentences() -> Tuple[List[Sentence], int, int]:
    """The sentences as ids from 1 on, the number of words and that of tags, each with the padding's."""
    words, tags = {}, {}
    sentences = []
    for line in TEXT.splitlines():
        pairs = [token.split("/") for token in line.split()]
        sentences.append(([words.setdefault(word, len(words) + 1) for word, _ in pairs],
                          [tags.setdefault(tag, len(tags) + 1) for _, tag in pairs]))
    return sentences, len(words) + 1, len(tags) + 1


def pad(sentences: List[Sentence]) -> Tuple[Tensor, Tensor, Tensor]:
    """Words [B, T], tags [B, T] and lengths [B]."""
    words, tags = (nn.utils.rnn.pad_sequence([torch.tensor(sentence[k]) for sentence in sentences], batch_first=True,
                                             padding_value=PAD) for k in (0, 1))
    return words, tags, torch.tensor([len(sentence[0]) for sentence in sentences])


class BieberLSTM(nn.Module):
    """Embedding, LSTM, linear layer, log-softmax: [B, T] words to [B, T, tags] log-probabilities."""

    def __init__(self, words: int, tags: int, features: int = 8, hidden: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, features, padding_idx=PAD)
        self.lstm = LSTM(features, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, tags)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        y, _ = self.lstm(self.embedding(words), lengths=lengths)
        return log_softmax(self.linear(y), dim=-1)


def shared_loss(log_probs: Tensor, tags: Tensor, processes: int) -> Tuple[Tensor, float]:
    """What this process differentiates, and the mean loss of all tokens of all processes.

    DistributedDataParallel averages the gradients over the processes, so each share is multiplied by their number.
    """
    loss = nll_loss(log_probs.flatten(0, 1), tags.flatten(), ignore_index=PAD, reduction="sum")
    sums = torch.stack([loss.detach().double(), (tags != PAD).sum().double()])
    if processes > 1:
        dist.all_reduce(sums)
    total, tokens = sums.tolist()
    return loss * (processes / tokens), total / tokens


def make_model(dtype: torch.dtype) -> nn.Module:
    _, words, tags = read_sentences()
    torch.manual_seed(0)
    return BieberLSTM(words, tags).to(dtype)


def train(rank: int, processes: int, steps: int, lr: float, dtype: torch.dtype, store: str) -> nn.Module:
    """Process `rank` of `processes`, which find each other by the file `store`."""
    if processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=processes)
        torch.set_num_threads(1)
    with contextlib.ExitStack() as stack:
        if processes > 1:
            stack.callback(dist.destroy_process_group)
        model = make_model(dtype)
        parallel = DistributedDataParallel(model) if processes > 1 else model
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        words, tags, lengths = pad(read_sentences()[0][rank::processes])
        for step in range(steps):
            optimizer.zero_grad()
            loss, mean = shared_loss(parallel(words, lengths), tags, processes)
            loss.backward()
            optimizer.step()
            if rank == 0 and (step % 20 == 0 or step == steps - 1):
                print(f"step {step:4}: loss {mean:.4f}", flush=True)
        if processes > 1:
            dist.barrier()  # until then gloo's threads may hold gradients, and torch 1.13 could wait for them forever
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=1.0)
    options = parser.parse_args()
    if options.processes < 1 or options.steps < 1:
        parser.error(f"--processes {options.processes} --steps {options.steps}: both must be at least 1")
    with tempfile.TemporaryDirectory() as folder:
        arguments = (options.processes, options.steps, options.lr, torch.float32, str(pathlib.Path(folder) / "store"))
        if options.processes == 1:
            train(0, *arguments)
        else:
            torch.multiprocessing.spawn(train, arguments, nprocs=options.processes)


if __name__ == "__main__":
    main()
