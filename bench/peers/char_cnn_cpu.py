#!/usr/bin/env python3
"""Times the convolution with maximum over the characters of words, on this machine's CPU, against PyTorch.

The words are the first --words of UD English EWT's training text, in batches of --batch in the order of the text. Three
ways take turns, each through autograd, and each gives the word vectors and every gradient:

    ours          varlstm.torch.conv_max over ragged rows
    torch         torch.nn.Conv1d over words padded to the batch's longest, and a maximum that leaves the padding out
    torch sorted  the same with all words sorted by length beforehand, which is not timed: almost no padding

x, one row for each character, is given in the form that each way needs; --embedding times the embedding of the
characters with it (varlstm.torch.CharCnn, and torch.nn.Embedding). Vectors and gradients are compared before anything is
timed. What counts is each way's least time of the rounds: of CPU with one thread, so that other programs on the machine
disturb it little, and of the clock with more.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import torch  # noqa: E402

import measure  # noqa: E402

sys.path.insert(0, os.path.join(measure.ROOT, "capi", "python"))

from varlstm._library import build_info  # noqa: E402
from varlstm.torch import CharCnn, conv_max  # noqa: E402

TOLERANCE = 1e-4  # relative to the largest value


def read_words(path, count):
    """The forms of the first `count` words."""
    words = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            fields = line.split("\t")
            if len(fields) == 10 and fields[0].isdigit():
                words.append(fields[1])
                if len(words) == count:
                    break
    return words


class Way:
    """One way over all batches. Gradients of the parameters add up over the batches of a run."""

    def __init__(self, model, batches, embedding):
        self.model, self.embedding = model, embedding
        self.conv = model.convs[0]
        self.batches = [self.prepare(*batch) for batch in batches]

    def run(self):
        self.model.zero_grad(set_to_none=True)
        outputs = []
        for x, shape, dy in self.batches:
            if not self.embedding:
                x.grad = None
            y = self.vectors(x, shape)
            y.backward(dy)
            outputs.append(y.detach())
        return outputs

    def results(self):
        """The vectors by word, the gradients of x by character, and those of the parameters."""
        y = torch.cat(self.run())
        dx = [] if self.embedding else [torch.cat([self.rows_of(*batch[:2]) for batch in self.batches])]
        return [y, *dx, *(p.grad.clone() for p in self.model.parameters() if p.grad is not None)]


class Ours(Way):
    def prepare(self, ids, lengths, dy):
        own = torch.arange(ids.size(1)) < lengths.unsqueeze(1)
        offsets = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
        x = ids[own] if self.embedding else self.model.embedding(ids[own]).detach().requires_grad_()
        return x, offsets, dy

    def vectors(self, x, offsets):
        if self.embedding:
            return self.model(x, offsets=offsets)
        return conv_max(x, self.conv.weight, self.conv.bias, offsets, self.model.activation)

    @staticmethod
    def rows_of(x, offsets):
        return x.grad


class Torch(Way):
    def prepare(self, ids, lengths, dy):
        own = torch.arange(ids.size(1)) < lengths.unsqueeze(1)
        if self.embedding:
            return ids, own, dy
        return (self.model.embedding(ids) * own.unsqueeze(-1)).detach().requires_grad_(), own, dy

    def vectors(self, x, own):
        if self.embedding:
            x = torch.nn.functional.embedding(x, self.model.embedding.weight) * own.unsqueeze(-1)
        v = self.conv(x.transpose(1, 2)).masked_fill(~own.unsqueeze(1), -float("inf")).max(2)[0]
        return torch.tanh(v) if self.model.activation == "tanh" else v

    @staticmethod
    def rows_of(x, own):
        return x.grad[own]


def batches_of(words, order, batch, dys):
    """(ids [words, longest], lengths, dy) of each batch."""
    result = []
    for first in range(0, len(order), batch):
        chosen = order[first:first + batch]
        lengths = torch.tensor([len(words[w]) for w in chosen])
        ids = torch.zeros(len(chosen), int(lengths.max()), dtype=torch.int64)
        for row, w in enumerate(chosen):
            ids[row, :len(words[w])] = torch.tensor([ord(c) % 100 for c in words[w]])
        result.append((ids, lengths, dys[torch.tensor(chosen)]))
    return result


def compare(ways):
    expected, ours = ways["torch"].results(), ways["ours"].results()
    for k, (theirs, other) in enumerate(zip(expected, ours)):
        error = ((theirs - other).abs().max() / theirs.abs().max()).item()
        if not error <= TOLERANCE:
            sys.exit(f"char_cnn_cpu.py: ours and torch differ by {error:.2e} in result {k}")


def time_ways(ways, rounds, clock):
    least = dict.fromkeys(ways, float("inf"))
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = clock()
            way.run()
            if turn:
                least[name] = min(least[name], clock() - start)
    return least


def row_of(options, words, batch, threads, embedding):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = CharCnn(100, options.features, options.filters, options.width, options.activation)
    dys = torch.randn(len(words), options.filters)
    in_text, by_length = list(range(len(words))), sorted(range(len(words)), key=lambda w: len(words[w]))
    in_order = batches_of(words, in_text, batch, dys)
    ways = {"ours": Ours(model, in_order, embedding), "torch": Torch(model, in_order, embedding),
            "torch sorted": Torch(model, batches_of(words, by_length, batch, dys), embedding)}
    compare(ways)
    least = time_ways(ways, options.rounds, time.process_time if threads == 1 else time.perf_counter)
    row = {"batch": batch, "threads": threads, "embedding": embedding, "clock": "cpu" if threads == 1 else "wall",
           "ms": {name: 1e3 * seconds for name, seconds in least.items()}}
    row["ratio"], row["ratio_sorted"] = (least[name] / least["ours"] for name in ("torch", "torch sorted"))
    print(f"batch {batch}, {threads} threads{', with embedding' if embedding else ''}: " +
          ", ".join(f"{name} {ms:.1f} ms" for name, ms in row["ms"].items()) +
          f"; torch / ours {row['ratio']:.2f}, sorted {row['ratio_sorted']:.2f}", flush=True)
    return row


def markdown(report):
    lines = ["# Convolution with maximum over the characters of words, on the CPU", "",
             f"{report['machine']}; torch {report['torch']}; {report['varlstm']}; commit {report['commit']}; "
             f"{report['date']}.",
             f"{report['words']} words with {report['characters']} characters, the first of UD English EWT (train); "
             f"{report['filters']} filters of width {report['width']} over {report['features']} features, "
             f"{report['activation']}, f32. Milliseconds for all words, forward and backward through autograd, the least "
             f"of {report['rounds']} rounds taken in turns: CPU time with one thread, the clock with more. Other programs "
             "ran on the machine meanwhile.", "",
             "| words in a batch | threads | embedding | ours | torch | torch, words sorted | torch / ours | sorted / ours |",
             "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in report["rows"]:
        ms = row["ms"]
        lines.append(f"| {row['batch']} | {row['threads']} | {'yes' if row['embedding'] else 'no'} | {ms['ours']:.1f} | "
                     f"{ms['torch']:.1f} | {ms['torch sorted']:.1f} | {row['ratio']:.2f} | {row['ratio_sorted']:.2f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--text", default=os.path.join(measure.EWT, "train.conllu"), help="a CoNLL-U file")
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--batch", type=int, nargs="+", default=[480, 2048], help="words in a batch")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--filters", type=int, default=30)
    parser.add_argument("--width", type=int, default=3)
    parser.add_argument("--activation", choices=("none", "tanh"), default="tanh")
    parser.add_argument("--embedding", action="store_true", help="also with the embedding")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", help="PREFIX of the report: PREFIX.json and PREFIX.md")
    options = parser.parse_args()
    words = read_words(options.text, options.words)
    rows = [row_of(options, words, batch, threads, embedding)
            for embedding in ((False, True) if options.embedding else (False,))
            for threads in options.threads for batch in options.batch]
    report = {"machine": measure.machine()[0], "torch": torch.__version__, "varlstm": build_info(),
              "commit": measure.commit(), "date": time.strftime("%Y-%m-%d"), "words": len(words),
              "characters": sum(map(len, words)), "features": options.features, "filters": options.filters,
              "width": options.width, "activation": options.activation, "rounds": options.rounds, "rows": rows}
    if options.out:
        with open(options.out + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        with open(options.out + ".md", "w", encoding="utf-8") as file:
            file.write(markdown(report))


if __name__ == "__main__":
    main()
