"""flair's SequenceTagger with this library's LSTMs, of characters and of words: flair makes them inside of `patch()`.

    PYTHONPATH=capi/python python3 capi/python/examples/flair_tagger.py --epochs 10        (pip install flair)

A tagger that was saved is loaded inside of `with patch():` too, as flair makes its modules anew.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import pathlib
import resource
import tempfile
from typing import List, Tuple

import flair
import torch
from flair.data import Corpus, Dictionary, Sentence
from flair.datasets import FlairDatapointDataset
from flair.embeddings import CharacterEmbeddings, OneHotEmbeddings, StackedEmbeddings
from flair.models import SequenceTagger
from flair.trainers import ModelTrainer

from tagger_ddp import TEXT
from varlstm.torch import patch

Tagged = List[List[Tuple[str, str]]]  # sentences of (word, tag)


def read_sentences() -> Tagged:
    return [[tuple(token.split("/")) for token in line.split()] for line in TEXT.splitlines()]


def as_corpus(sentences: Tagged) -> Corpus:
    """All sentences are for training, the first eight for tests too."""
    made = []
    for pairs in sentences + sentences[:8]:
        made.append(Sentence([word for word, _ in pairs], use_tokenizer=False))
        for token, (_, tag) in zip(made[-1].tokens, pairs):
            token.add_label("pos", tag)
    train, test = made[:len(sentences)], made[len(sentences):]
    return Corpus(FlairDatapointDataset(train), FlairDatapointDataset(test), FlairDatapointDataset(test))


def make_tagger(corpus: Corpus, folder: pathlib.Path, hidden: int) -> SequenceTagger:
    characters = Dictionary()
    for sentence in corpus.train:
        for character in sentence.text:
            characters.add_item(character)
    characters.save(folder / "characters")
    embeddings = StackedEmbeddings([OneHotEmbeddings.from_corpus(corpus, min_freq=1, embedding_length=50),
                                    CharacterEmbeddings(str(folder / "characters"))])
    return SequenceTagger(embeddings, corpus.make_label_dictionary("pos", add_unk=False), "pos", hidden_size=hidden,
                          use_crf=True)


def train(tagger: SequenceTagger, corpus: Corpus, folder: pathlib.Path, epochs: int,
          batch: int) -> Tuple[float, List[float]]:
    """Seconds of user time, and the loss of each epoch."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    ModelTrainer(tagger, corpus).train(folder, learning_rate=0.1, mini_batch_size=batch, max_epochs=epochs)
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    lines = (folder / "loss.tsv").read_text().splitlines()
    column = lines[0].split("\t").index("TRAIN_LOSS")
    return seconds, [float(line.split("\t")[column]) for line in lines[1:]]


def run(sentences: Tagged, epochs: int, hidden: int, batch: int = 4) -> Tuple[float, List[float], SequenceTagger]:
    """train() of a new tagger, whose parameters the seed decides."""
    flair.device = torch.device("cpu")
    flair.set_seed(1)
    with tempfile.TemporaryDirectory() as name:
        folder, corpus = pathlib.Path(name), as_corpus(sentences)
        tagger = make_tagger(corpus, folder, hidden)
        return (*train(tagger, corpus, folder, epochs, batch), tagger)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs {options.epochs}: must be at least 1")
    with patch():
        seconds, losses, _ = run(read_sentences(), options.epochs, hidden=64)
    for epoch, loss in enumerate(losses):
        print(f"epoch {epoch + 1:3}: loss {loss:.4f}")
    print(f"{seconds:.1f} s of user time")


if __name__ == "__main__":
    main()
