# How much memory varlstm-tagger takes for a file of word vectors that are all kept: in training and in prediction each of
# 200,000 tokens more takes not more than its vector and 32 bytes. Both files are so large that the peak is the tagger's,
# not that of the Python which started it. Usage: python3 tagger_memory_test.py PROGRAM DATA
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import subprocess
import sys
import tempfile

PROGRAM, DATA = sys.argv[1], pathlib.Path(sys.argv[2])
FEATURES = 20
SIZES = {"small": 100_000, "large": 300_000}
TOKENS = SIZES["large"] - SIZES["small"]
TABLE = TOKENS * FEATURES * 4
BESIDE = TOKENS * 32


def peak_of(*arguments):
    """The largest resident memory of the program, in bytes."""
    process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{arguments[0]} ended with status {status}")
    return usage.ru_maxrss * 1024


def write_vectors(path, tokens):
    """Tokens of 6 to 14 letters, 10 in the mean."""
    row = " " + " ".join(["0.25"] * FEATURES) + "\n"
    with open(path, "w") as file:
        for k in range(tokens):
            file.write(f"{k:06x}" + "abcdefgh"[: k % 9] + row)


with tempfile.TemporaryDirectory() as folder:
    vectors, dev = f"{folder}/vectors", str(DATA / "dev.conllu")
    train = ["train", "--train", str(DATA / "train.conllu"), "--dev", dev, "--epochs", "1", "--hidden", "4", "--threads", "1",
             "--vectors", vectors, "--keep-vectors", "all"]
    peaks = {}
    for size, tokens in SIZES.items():
        write_vectors(vectors, tokens)
        peaks["train", size] = peak_of(*train, "--out", f"{folder}/{size}")
        peaks["predict", size] = peak_of("predict", "--model", f"{folder}/{size}", dev)

failed = False
for command in ("train", "predict"):
    beside = peaks[command, "large"] - peaks[command, "small"] - TABLE
    print(f"{command}: {beside / TOKENS:.1f} bytes a token beside its vector of {TABLE // TOKENS} bytes")
    failed = failed or beside > BESIDE
if failed:
    sys.exit(f"more than {BESIDE // TOKENS} bytes")
