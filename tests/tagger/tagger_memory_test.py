# How much memory varlstm-tagger takes for a file of 300,000 word vectors that are all kept: in training and in prediction
# not more than the table and 32 bytes a token beside what a small model takes. Usage: python3 tagger_memory_test.py
# PROGRAM DATA
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
TOKENS, FEATURES = 300_000, 20
TABLE = TOKENS * FEATURES * 4
BESIDE = TOKENS * 32


def peak_of(*arguments):
    """The largest resident memory of the program, in bytes."""
    process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{arguments[0]} ended with status {status}")
    return usage.ru_maxrss * 1024


def write_vectors(path):
    """Tokens of 6 to 14 letters, 10 in the mean."""
    row = " " + " ".join(["0.25"] * FEATURES) + "\n"
    with open(path, "w") as file:
        for k in range(TOKENS):
            file.write(f"{k:06x}" + "abcdefgh"[: k % 9] + row)


with tempfile.TemporaryDirectory() as folder:
    vectors, dev = f"{folder}/vectors", str(DATA / "dev.conllu")
    write_vectors(vectors)
    train = ["train", "--train", str(DATA / "train.conllu"), "--dev", dev, "--epochs", "1", "--hidden", "4", "--threads", "1"]
    more = {"small": ["--embedding", str(FEATURES)], "large": ["--vectors", vectors, "--keep-vectors", "all"]}
    peaks = {}
    for size in more:
        peaks["train", size] = peak_of(*train, *more[size], "--out", f"{folder}/{size}")
        peaks["predict", size] = peak_of("predict", "--model", f"{folder}/{size}", dev)

failed = False
for command in ("train", "predict"):
    beside = peaks[command, "large"] - peaks[command, "small"] - TABLE
    print(f"{command}: {beside / TOKENS:.1f} bytes a token beside its vector of {TABLE // TOKENS} bytes")
    failed = failed or beside > BESIDE
if failed:
    sys.exit(f"more than {BESIDE // TOKENS} bytes")
