"""varlstm-tagger's network in PyTorch, with the same names of parameters, and its training.

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import os

import torch
from torch import nn

from tagger_data import NO_TAG, PADDING, UNKNOWN, Corpus

WAYS = ("padded", "joined")  # of the convolution over the characters of words


class Tagger(nn.Module):
    """Logits of packed rows. `way`: whether the words' characters are padded to the longest word of the batch, or stand
    one word after the other with width - 1 rows of zeros between them, so that almost no padding is computed."""

    def __init__(self, sizes, options, way="joined"):
        super().__init__()
        words, characters, tags = sizes
        self.way, self.dropout = way, nn.Dropout(options.dropout)
        self.embedding = nn.Embedding(words, options.embedding, padding_idx=PADDING)
        widths = options.char_widths if options.char_filters else []
        if widths:  # the last row is of zeros: what surrounds a word
            self.char_embedding = nn.Embedding(characters + 1, options.char_embedding, padding_idx=characters)
        self.char_conv = nn.ModuleDict({str(width): nn.Conv1d(options.char_embedding, options.char_filters, width,
                                                              padding="same") for width in widths})
        self.lstm = nn.LSTM(options.embedding + options.char_filters * len(widths), options.hidden, options.layers,
                            dropout=options.dropout if options.layers > 1 else 0, bidirectional=True)
        self.linear = nn.Linear(2 * options.hidden, tags)
        # The other parameters begin as PyTorch's do.
        with torch.no_grad():
            self.embedding.weight[PADDING + 1:].normal_(0, 0.1)
            if widths:
                bound = math.sqrt(3 / options.char_embedding)
                self.char_embedding.weight[:-1].uniform_(-bound, bound)

    def padded_maxima(self, batch):
        ids, own = batch.characters(self.char_embedding.padding_idx)
        x = self.char_embedding(ids).transpose(1, 2)
        return [conv(x).masked_fill(~own.unsqueeze(1), -math.inf).max(2)[0] for conv in self.char_conv.values()]

    def joined_maxima(self, batch):
        gap = max(map(int, self.char_conv)) - 1
        ids, own, word = batch.joined_characters(self.char_embedding.padding_idx, gap)
        x = self.char_embedding(ids).t().unsqueeze(0)
        rows = word[own].unsqueeze(1)
        maxima = []
        for conv in self.char_conv.values():
            v = conv(x)[0].t()[own]
            lowest = v.new_full((len(batch.words), v.size(1)), -math.inf)
            maxima.append(lowest.scatter_reduce(0, rows.expand(-1, v.size(1)), v, "amax"))
        return maxima

    def forward(self, batch, words):
        """words: the batch's rows of the table, of which word dropout may have hidden some."""
        x = self.embedding(words)
        if self.char_conv:
            maxima = self.padded_maxima(batch) if self.way == "padded" else self.joined_maxima(batch)
            x = torch.cat([x, *map(torch.tanh, maxima)], 1)
        y = self.lstm(batch.pack._replace(data=self.dropout(x)))[0].data
        return self.linear(self.dropout(y))

    def load(self, folder):
        """Takes the parameters of a model that varlstm-tagger wrote."""
        state = read_safetensors(os.path.join(folder, "model.safetensors"))
        if self.char_conv:
            state["char_embedding.weight"] = nn.functional.pad(state["char_embedding.weight"], (0, 0, 0, 1))
        self.load_state_dict(state)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(data, dtype=torch.float32, offset=entry["data_offsets"][0],
                                   count=math.prod(entry["shape"])).view(entry["shape"]).clone()
            for name, entry in header.items()}


class Training:
    """Epochs over a corpus, as varlstm-tagger's trainer.cc makes them."""

    def __init__(self, model, corpus, options, epochs):
        self.model, self.corpus, self.options = model, corpus, options
        self.loss = nn.CrossEntropyLoss(ignore_index=NO_TAG)
        # One pass over all parameters where torch has it for the CPU.
        fused = {"fused": True} if tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 4) else {}
        self.optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, **fused)
        steps = epochs * -(-len(corpus) // options.batch) if options.lr_schedule == "linear" else math.inf
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 1 - step / steps)
        counts = torch.bincount(corpus.words, minlength=model.embedding.num_embeddings)
        self.hidden = options.word_dropout / (options.word_dropout + counts) if options.word_dropout else None

    def epoch(self, batches=None):
        """One epoch, or so many batches of it: the mean loss of a token that has a tag, and the number of tokens."""
        self.model.train()
        total, tagged, tokens = 0.0, 0, 0
        order = torch.randperm(len(self.corpus))
        for k, batch in enumerate(self.corpus.batches(order, self.options.batch)):
            if k == batches:
                break
            words = batch.words
            if self.hidden is not None:
                words = words.masked_fill(torch.rand(len(words)) < self.hidden[words], UNKNOWN)
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.loss(self.model(batch, words), batch.tags)
            loss.backward()
            if self.options.clip > 0:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
            self.optimizer.step()
            self.schedule.step()
            count = int((batch.tags != NO_TAG).sum())
            total, tagged, tokens = total + loss.item() * count, tagged + count, tokens + len(words)
        return total / tagged, tokens


@torch.inference_mode()
def logits_of(model, corpus, size=256):
    """[words, tags] in the corpus's order."""
    model.eval()
    batches = list(corpus.batches(corpus.longest_first(), size))
    rows = torch.cat([model(batch, batch.words) for batch in batches])
    return torch.empty_like(rows).index_copy_(0, torch.cat([batch.tokens for batch in batches]), rows)


def accuracy(model, corpus):
    """Of the words that have a tag."""
    right = logits_of(model, corpus).argmax(1) == corpus.tags
    return right.sum().item() / int((corpus.tags != NO_TAG).sum())
