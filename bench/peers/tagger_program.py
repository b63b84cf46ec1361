"""varlstm-tagger as a program, and whether its network in PyTorch is the same.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import shlex
import subprocess
import tempfile
import time

import torch

from tagger_data import COLUMNS, Corpus, Vocabulary, read_conllu
from tagger_network import WAYS, Tagger, Training, logits_of

NEAR = 1e-4  # logits that are nearer to each other may change places by rounding
NOT_IN_TORCH = {"cell": "lstm", "projection": 0, "layer_norm": False, "bidirectional": True}  # and what the network has


class Failure(Exception):
    """One line for the user."""


def parse_network(text):
    """«NAME: options of varlstm-tagger train»: those that the network in PyTorch has, with the program's defaults."""
    name, _, arguments = text.partition(":")
    numbers = lambda value: [int(part) for part in value.split(",")]
    parser = argparse.ArgumentParser(prog=f"--network {name}", allow_abbrev=False)
    for option, default in (("embedding", 100), ("hidden", 128), ("layers", 1), ("char-filters", 30),
                            ("char-embedding", 30), ("batch", 32)):
        parser.add_argument(f"--{option}", type=int, default=default)
    for option, default in (("dropout", 0.0), ("word-dropout", 0.25), ("lr", 2e-3), ("clip", 5.0)):
        parser.add_argument(f"--{option}", type=float, default=default)
    parser.add_argument("--char-widths", type=numbers, default=[3])
    parser.add_argument("--word-case", default="keep", choices=("keep", "lower"))
    parser.add_argument("--lr-schedule", default="constant", choices=("constant", "linear"))
    parser.add_argument("--column", default="upos", choices=list(COLUMNS))
    options = parser.parse_args(shlex.split(arguments))
    options.name, options.arguments = name, shlex.split(arguments)
    return options


def cpu_seconds(pid):
    """Of a process that runs, so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def finish(process):
    """What a run of the program, which may still print, has used in the end."""
    process.stdout.read()
    errors = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failure(errors[-1] if errors else f"{shlex.join(process.args)} ended with status {process.returncode}")
    return usage


def train(program, files, network, model, epochs, seed=1, threads=1, more=()):
    """Trains a model. The lines of the log, and seconds of CPU from the time at which the files were read to the end."""
    log = f"{model}.log"
    command = [program, "train", "--train", files[0], "--dev", files[1], "--out", model, "--log", log, "--patience", "0",
               "--epochs", str(epochs), "--seed", str(seed), "--threads", str(threads), *network.arguments, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        before = cpu_seconds(process.pid)
        usage = finish(process)
    with open(log, encoding="utf-8") as file:
        return [json.loads(line) for line in file], usage.ru_utime + usage.ru_stime - before


def evaluate(program, model, path, threads):
    """Seconds that `varlstm-tagger eval` of a file takes."""
    start = time.perf_counter()
    with subprocess.Popen([program, "eval", "--json", "--model", model, "--threads", str(threads), path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        usage = finish(process)
    return {"wall": time.perf_counter() - start, "cpu": usage.ru_utime + usage.ru_stime}


def load(folder):
    """A model of the program in PyTorch, its vocabulary, and the column of its tags."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    in_lower_case = config.get("lower_case_words", False)
    for key, value in {**NOT_IN_TORCH, "tries_lower_case": in_lower_case}.items():
        if config.get(key, value) != value:
            raise Failure(f"{folder} has \"{key}\" = {config[key]}, and the network in PyTorch is for {value} alone")
    config = {"char_filters": 0, "char_embedding": 1, "char_widths": [], "characters": [], "dropout": 0, **config}
    vocabulary = Vocabulary(config["words"], config["tags"], config["characters"], in_lower_case)
    model = Tagger(vocabulary.sizes(), argparse.Namespace(**config))
    model.load(folder)
    return model, vocabulary, config["column"]


def check_tags(program, folder, path):
    """The number of words whose tags were compared. Failure if the program gives a word another tag than PyTorch."""
    model, vocabulary, column = load(folder)
    corpus = Corpus(read_conllu(path, column), vocabulary)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".conllu") as file:
        subprocess.run([program, "predict", "--threads", "1", "--model", folder, path], stdout=file, check=True)
        ours = Corpus(read_conllu(file.name, column), vocabulary).tags
    for model.way in WAYS:
        logits = logits_of(model, corpus)
        behind = logits.max(1)[0] - logits.gather(1, ours.unsqueeze(1)).squeeze(1)
        wrong = int((behind > NEAR).sum())
        if wrong:
            raise Failure(f"{folder}: {wrong} of {len(ours)} words of {path} have another tag in PyTorch ({model.way})")
    return len(ours)


def compare_training(program, files, network, steps):
    """(ours, PyTorch's) losses of steps over all sentences at once from the same parameters: without chance."""
    whole = ["--batch", "1000000", "--dropout", "0", "--word-dropout", "0"]
    with tempfile.TemporaryDirectory() as folder:
        first = os.path.join(folder, "first")
        train(program, files, network, first, 1, more=[*whole, "--lr", "1e-30"])  # which changes no parameter
        log, _ = train(program, files, network, os.path.join(folder, "trained"), steps, more=whole)
        model, vocabulary, column = load(first)
    options = argparse.Namespace(**{**vars(network), "batch": 1000000, "word_dropout": 0})
    training = Training(model, Corpus(read_conllu(files[0], column), vocabulary), options, steps)
    torch.manual_seed(1)
    return [(line["loss"], training.epoch()[0]) for line in log]
