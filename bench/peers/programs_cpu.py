#!/usr/bin/python3
"""Times programs of others with torch.nn's LSTMs and with this library's, on one thread of this machine's CPU.

    flair        an epoch of its SequenceTagger (characters, one-hot words, H = 256, CRF) on English web text, batches of 32
    speechbrain  forward and backward of its bidirectional LSTM over padded sequences, H = 256, two layers
    resemblyzer  embedding of 20 s of sound by its pretrained encoder, with all that the package does before and after

The two ways take turns; the LSTMs are swapped by varlstm.torch.patch(), in resemblyzer by replace_rnn. What they compute
is compared by tests/python/torch_examples_test.py, the losses of flair here too. What counts is the least user time.

    python3 bench/peers/programs_cpu.py         with torch and these packages from PyPI; one that is missing is left out
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import contextlib
import importlib
import itertools
import os
import resource
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "capi", "python"), os.path.join(ROOT, "capi", "python", "examples")]

import torch  # noqa: E402

import measure  # noqa: E402
from varlstm import build_info  # noqa: E402
from varlstm.torch import patch, replace_rnn  # noqa: E402

WAYS = {"ours": patch, "torch": contextlib.nullcontext}


def user_time():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def timed(work):
    before = user_time()
    work()
    return user_time() - before


def flair(sentences):
    import logging

    import flair as package
    import flair_tagger

    package.logger.setLevel(logging.ERROR)
    text, pairs = [], []
    with open(os.path.join(measure.EWT, "train.conllu"), encoding="utf-8") as file:
        for line in itertools.chain(file, [""]):
            fields = line.split("\t")
            if fields[0].isdigit():
                pairs.append((fields[1], fields[3]))
            elif pairs and not line.strip():
                text.append(pairs)
                pairs = []

    while True:
        seconds, losses = {}, {}
        for way, context in WAYS.items():
            with context():
                seconds[way], losses[way], _ = flair_tagger.run(text[:sentences], epochs=1, hidden=256, batch=32)
        if abs(losses["ours"][0] - losses["torch"][0]) > 1e-3 * losses["torch"][0]:
            raise SystemExit(f"the losses differ: {losses}")
        yield seconds


def speechbrain():
    from speechbrain.nnet.RNN import LSTM

    torch.manual_seed(0)
    lengths = torch.rand(16) * 0.8 + 0.2
    lengths[0] = 1
    x, networks = torch.randn(16, 200, 80), {}
    for way, context in WAYS.items():
        with context():
            networks[way] = LSTM(256, input_size=80, num_layers=2, bidirectional=True)

    def step(network):
        network(x, lengths=lengths.sort(descending=True)[0])[0].square().sum().backward()

    while True:
        yield {way: timed(lambda: step(network)) for way, network in networks.items()}


def resemblyzer():
    from resemblyzer import VoiceEncoder

    encoders = {"ours": replace_rnn(VoiceEncoder("cpu", verbose=False)), "torch": VoiceEncoder("cpu", verbose=False)}
    wave = torch.sin(torch.arange(20 * 16000) / 25).numpy()
    for encoder in encoders.values():
        encoder.embed_utterance(wave[:16000])
    while True:
        yield {way: timed(lambda: encoder.embed_utterance(wave)) for way, encoder in encoders.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=400, help="of flair's epoch")
    options = parser.parse_args()
    torch.set_num_threads(1)
    programs = {"flair": lambda: flair(options.sentences), "speechbrain": speechbrain, "resemblyzer": resemblyzer}
    rows = []
    for name, program in programs.items():
        try:
            package = importlib.import_module(name)
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        rounds = list(itertools.islice(program(), options.rounds))
        ours, theirs = (min(one[way] for one in rounds) for way in WAYS)
        rows.append(f"| {name} {getattr(package, '__version__', '')} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} |")
    print(f"torch {torch.__version__}; {build_info()}; one thread; the machine's load: {os.getloadavg()[0]:.1f}. Least "
          f"seconds of user time of {options.rounds} rounds.\n")
    print("| program | ours | torch.nn | torch.nn / ours |")
    print("| --- | ---: | ---: | ---: |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
