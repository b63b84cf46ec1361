#!/usr/bin/env python3
"""Compares varlstm-tagger with its network in PyTorch on this machine's CPU: speed, accuracy, and that both are the same.

Without --accuracy or --check it times training and eval. An epoch of varlstm-tagger and epochs of PyTorch take turns, every
one of new parameters; reading files and measuring on the dev file are in no time. Then `varlstm-tagger eval` of the files of
both and PyTorch's accuracy on them take turns, with one model; reading the files is in our time alone. PyTorch's network is packed from the start
(no padded word is embedded, and only tokens reach the loss), its Adam is fused, and it has two ways of the convolution
over characters: «padded» to the longest word of the batch, as is usual, and «joined», all words in one row, the fastest
of those tried. CPU time counts where other programs run, because they disturb it less than the clock.

    tagger_cpu.py --threads 1 2                                  # the defaults, on UD English EWT if it is there
    tagger_cpu.py --data tools/tagger/data --copies 20           # on the project's own sentences, of which there are few
    tagger_cpu.py --network "fast:" --network "accurate: --hidden 200" --threads 1 2 --out PREFIX
    tagger_cpu.py --accuracy 1 2 3 --epochs 3 --network "fast:" --out PREFIX
    tagger_cpu.py --check MODEL --dev dev.conllu                 # does PyTorch give the same tags?

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import torch

import measure
from tagger_data import Corpus, Vocabulary, read_conllu
from tagger_network import WAYS, Tagger, Training, accuracy
from tagger_program import Failure, check_tags, evaluate, load, parse_network, train


class Data:
    def __init__(self, train, dev, network):
        sentences = read_conllu(train, network.column)
        self.vocabulary = Vocabulary.of(sentences, network.word_case == "lower")
        self.train, self.dev = (Corpus(part, self.vocabulary)
                                for part in (sentences, read_conllu(dev, network.column)))


def join_files(paths, folder, name, copies=1):
    """A file in the folder that has the text of all, so many times."""
    out = os.path.join(folder, name)
    with open(out, "w", encoding="utf-8") as file:
        for path in list(paths) * copies:
            with open(path, encoding="utf-8") as part:
                file.write(part.read().rstrip("\n") + "\n\n")
    return out


def first_sentence(path, folder):
    """A dev file that costs no time."""
    with open(path, encoding="utf-8") as file:
        text = file.read().split("\n\n")[0]
    out = os.path.join(folder, "first.conllu")
    with open(out, "w", encoding="utf-8") as file:
        file.write(text + "\n\n")
    return out


def time_ours(options, network, seed, threads):
    with tempfile.TemporaryDirectory() as folder:
        files = options.train, first_sentence(options.dev, folder)
        log, cpu = train(options.program, files, network, os.path.join(folder, "model"), 1, seed, threads)
    return {"wall": log[0]["seconds"], "cpu": cpu, "loss": log[0]["loss"]}


def new_training(data, network, seed, way, epochs):
    torch.manual_seed(seed)
    return Training(Tagger(data.vocabulary.sizes(), network, way), data.train, network, epochs)


def time_torch(options, data, network, seed, threads, way):
    torch.set_num_threads(threads)
    new_training(data, network, seed, way, 1).epoch(3)  # allocates, and makes oneDNN's kernels
    training = new_training(data, network, seed, way, 1)
    wall, cpu = time.perf_counter(), time.process_time()
    loss, tokens = training.epoch(options.batches)
    share = len(data.train.words) / tokens
    return {"wall": (time.perf_counter() - wall) * share, "cpu": (time.process_time() - cpu) * share, "loss": loss}


def time_training(options, data, network, threads):
    ways = {"ours": lambda seed: time_ours(options, network, seed, threads)}
    for way in WAYS:
        ways[way] = lambda seed, way=way: time_torch(options, data, network, seed, threads, way)
    return time_network(options, "train", len(data.train.words), network, threads, ways)


def time_eval(options, network, threads):
    with tempfile.TemporaryDirectory() as folder:
        first = first_sentence(options.dev, folder)
        path = join_files((options.train, options.dev), folder, "all.conllu")
        model_folder = os.path.join(folder, "model")
        train(options.program, (options.train, first), network, model_folder, 1, 1, threads)
        model, vocabulary, column = load(model_folder)
        corpus = Corpus(read_conllu(path, column), vocabulary)

        def ours(_):
            start, whole = (evaluate(options.program, model_folder, file, threads) for file in (first, path))
            return {clock: whole[clock] - start[clock] for clock in whole}

        def theirs(way):
            torch.set_num_threads(threads)
            model.way = way
            wall, cpu = time.perf_counter(), time.process_time()
            accuracy(model, corpus)
            return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}

        for way in WAYS:  # allocates, and makes oneDNN's kernels
            model.way = way
            accuracy(model, corpus)
        ways = {"ours": ours, **{way: lambda _, way=way: theirs(way) for way in WAYS}}
        return time_network(options, "eval", len(corpus.words), network, threads, ways)


def time_network(options, name_of_pass, tokens, network, threads, ways):
    """A row of the report: every way, `pairs` times in turns."""
    measured = {name: [] for name in ways}
    load = []
    for pair in range(1, options.pairs + 1):
        for name, way in ways.items():
            measured[name].append(way(pair))
            load.append(os.getloadavg()[0])
    row = {"network": network.name, "options": shlex.join(network.arguments), "pass": name_of_pass, "threads": threads,
           "pairs": options.pairs, "load": [min(load), max(load)], "seconds": measured}
    for clock in ("wall", "cpu"):
        median = {name: statistics.median(run[clock] for run in runs) for name, runs in measured.items()}
        row[clock] = {"tokens_per_s": {name: tokens / seconds for name, seconds in median.items()}}
        for way in WAYS:
            row[clock][way] = statistics.median(
                theirs[clock] / ours[clock] for theirs, ours in zip(measured[way], measured["ours"]))
        print(f"{network.name}, {name_of_pass}, {threads} threads, {clock}: " +
              ", ".join(f"{name} {rate:.0f} tokens/s" for name, rate in row[clock]["tokens_per_s"].items()) +
              "".join(f"; {way} / ours {row[clock][way]:.2f}" for way in WAYS), flush=True)
    return row


def measure_accuracy(options, data, network):
    """The best dev accuracy of each seed's epochs, ours and PyTorch's, with what each epoch gave."""
    torch.set_num_threads(options.threads[0])
    row = {"network": network.name, "options": shlex.join(network.arguments), "epochs": options.epochs,
           "seeds": options.accuracy, "ours": [], "torch": []}
    for seed in options.accuracy:
        with tempfile.TemporaryDirectory() as folder:
            log, _ = train(options.program, (options.train, options.dev), network, os.path.join(folder, "model"),
                           options.epochs, seed, options.threads[0])
        row["ours"].append([line["dev"] for line in log])
        training = new_training(data, network, seed, "joined", options.epochs)
        row["torch"].append([])
        for epoch in range(1, options.epochs + 1):
            loss, _ = training.epoch()
            row["torch"][-1].append(accuracy(training.model, data.dev))
            print(f"{network.name}, seed {seed}, epoch {epoch}: ours {log[epoch - 1]['loss']:.4f} "
                  f"{log[epoch - 1]['dev']:.4f}, torch {loss:.4f} {row['torch'][-1][-1]:.4f}", flush=True)
    return row


def speed_table(report):
    lines = ["# Training and running varlstm-tagger's network, and the same network in PyTorch, on the CPU", "", head(report),
             "Train: an epoch of each way in turns, of new parameters every time" +
             (f"; of PyTorch's {report['batches']} batches" if report["batches"] else "") +
             ". Training alone, without reading files and measuring on dev; our CPU time has the first parameters and the "
             "writing of the model in it. Eval: the accuracy on the train and dev files together, one model; our time has the "
             "reading of the files in it, PyTorch's has not. Rates are tokens a second, the median of the pairs, and ratios the median of the "
             "pairs' ratios. «Padded» pads each word's characters to the longest word of the batch, «joined» has them in "
             "one row. Other programs ran: the load is their average number with ours" +
             (", which ran at real-time priority." if report["real_time"] else "."), "",
             "| network | pass | threads | pairs | load | time | ours | torch, padded | torch, joined | ours / padded | "
             "ours / joined |", "| --- | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in report["rows"]:
        for clock, name in (("cpu", "CPU"), ("wall", "clock")):
            rates = row[clock]["tokens_per_s"]
            lines.append(f"| {row['network']} | {row['pass']} | {row['threads']} | {row['pairs']} | "
                         f"{row['load'][0]:.0f} to {row['load'][1]:.0f} | {name} | " + " | ".join(f"{rates[way]:,.0f}" for way in ("ours", *WAYS)) +
                         " | " + " | ".join(f"{row[clock][way]:.2f}" for way in WAYS) + " |")
    return lines


def accuracy_table(report):
    lines = ["# Dev accuracy of varlstm-tagger, and of the same network in PyTorch", "", head(report),
             "Each side draws its own first parameters, order and masks. The best epoch of each seed, as the tagger keeps it, "
             "and the last one.", "",
             "| network | epochs | side | best epoch of each seed | mean | range | mean of the last epoch |",
             "| --- | ---: | --- | --- | ---: | ---: | ---: |"]
    for row in report["rows"]:
        for side in ("ours", "torch"):
            best = [max(epochs) for epochs in row[side]]
            lines.append(f"| {row['network']} | {row['epochs']} | {side} | " + ", ".join(f"{b:.4f}" for b in best) +
                         f" | {statistics.fmean(best):.4f} | {max(best) - min(best):.4f} | "
                         f"{statistics.fmean(epochs[-1] for epochs in row[side]):.4f} |")
    return lines


def head(report):
    networks = {row["network"]: row["options"] for row in report["rows"]}
    return (f"{report['machine']}; torch {report['torch']}; varlstm-tagger: {report['varlstm']}; commit {report['commit']}; "
            f"{report['date']}.\n{report['data']}, {report['tokens']:,} tokens to train on. " +
            " ".join(f"«{name}»: {f'`{options}`' if options else 'the defaults'}." for name, options in networks.items()))


def write(options, tokens, rows):
    version = subprocess.run([options.program, "--version"], capture_output=True, text=True, check=True).stdout
    report = {"machine": measure.machine()[0], "torch": torch.__version__, "varlstm": version.splitlines()[-1],
              "commit": measure.commit(), "date": time.strftime("%Y-%m-%d"), "data": options.name, "tokens": tokens,
              "batches": options.batches, "real_time": os.sched_getscheduler(0) != os.SCHED_OTHER, "rows": rows}
    lines = accuracy_table(report) if options.accuracy else speed_table(report)
    print("\n" + "\n".join(lines))
    if options.out:
        with open(options.out + ".json", "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
        with open(options.out + ".md", "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")


def parse_arguments():
    ours = os.path.join(measure.ROOT, "tools", "tagger", "data")
    ewt = os.path.exists(os.path.join(measure.EWT, "train.conllu"))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--program", default=os.path.join(measure.ROOT, "build", "bin", "varlstm-tagger"))
    parser.add_argument("--data", default=measure.EWT if ewt else ours, metavar="FOLDER",
                        help="of train.conllu and dev.conllu (default: UD English EWT, or the project's own sentences)")
    parser.add_argument("--copies", type=int, default=1, help="each file so many times over, for small ones")
    parser.add_argument("--dev", help="CoNLL-U file, in place of the folder's")
    parser.add_argument("--network", action="append", type=parse_network, help="NAME: options of varlstm-tagger train")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--batches", type=int, help="of PyTorch's epochs, in place of whole ones")
    parser.add_argument("--accuracy", type=int, nargs="+", metavar="SEED", help="compare the accuracy for these seeds")
    parser.add_argument("--epochs", type=int, default=3, help="with --accuracy")
    parser.add_argument("--check", metavar="MODEL", help="compare a model's tags of --dev with PyTorch's")
    parser.add_argument("--out", help="PREFIX of the report: PREFIX.json and PREFIX.md")
    options = parser.parse_args()
    options.train = os.path.join(options.data, "train.conllu")
    options.dev = options.dev or os.path.join(options.data, "dev.conllu")
    options.name = os.path.relpath(options.data, measure.ROOT)
    if ewt and os.path.samefile(options.data, measure.EWT):
        options.name = "UD English EWT"
    if options.copies > 1:
        options.name += f", {options.copies} times over"
    return options


def main():
    options = parse_arguments()
    if options.check:
        print(f"{check_tags(options.program, options.check, options.dev)} words have the same tags in PyTorch")
        return
    networks = options.network or [parse_network("defaults:")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if options.copies > 1:
            options.train = join_files([options.train], folder, "train.conllu", options.copies)
            options.dev = join_files([options.dev], folder, "dev.conllu", options.copies)
        for network in networks:
            data = Data(options.train, options.dev, network)
            if options.accuracy:
                rows.append(measure_accuracy(options, data, network))
                continue
            rows += [time_training(options, data, network, threads) for threads in options.threads]
            rows += [time_eval(options, network, threads) for threads in options.threads]
    write(options, len(data.train.words), rows)


if __name__ == "__main__":
    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"tagger_cpu.py: {failure}")
