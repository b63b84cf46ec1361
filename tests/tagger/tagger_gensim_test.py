# Word vectors of gensim's own test files: what varlstm-tagger reads is, bit for bit, what gensim reads. Without gensim the
# test is skipped (status 77). Usage: python3 tagger_gensim_test.py PROGRAM
# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import gensim
    import numpy
    from gensim.models import KeyedVectors
except ImportError:
    print("skipped: gensim is not installed")
    sys.exit(77)

PROGRAM = sys.argv[1]
FILES = pathlib.Path(gensim.__file__).parent / "test" / "test_data"
TEXTS = ["crime-and-punishment.vec", "lee_fasttext.vec", "toy-model.vec", "high_precision.kv.txt",
         "word2vec_pre_kv_c"]
NOT_UTF8 = "pang_lee_polarity_fasttext.vec"
BINARIES = ["euclidean_vectors.bin", "high_precision.kv.bin"]
FASTTEXT_MODELS = ["lee_fasttext_new.bin"]


def can_be_a_form(token):
    return token and not any(ord(c) < 32 for c in token)


def read_tensor(path, name):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    tensor = json.loads(data[8:8 + length])[name]
    begin, end = tensor["data_offsets"]
    values = numpy.frombuffer(data[8 + length + begin:8 + length + end], numpy.float32)
    return values.reshape(tensor["shape"])


def train(vectors, folder):
    text = folder / "f.conllu"
    text.write_text("1\t\u2261\t_\tX\t_\t_\t_\t_\t_\t_\n\n", encoding="utf-8")
    return subprocess.run([PROGRAM, "train", "--train", text, "--dev", text, "--out", folder / "model", "--vectors",
                           vectors, "--keep-vectors", "all", "--epochs", "1", "--hidden", "2", "--threads", "1"],
                          capture_output=True, text=True, check=False)


def check(vectors, expected, folder):
    outcome = train(vectors, folder)
    assert outcome.returncode == 0, (vectors, outcome.stderr)
    words = json.loads((folder / "model" / "config.json").read_text(encoding="utf-8"))["words"]
    table = read_tensor(folder / "model" / "model.safetensors", "embedding.weight")
    assert table.shape == (len(words) + 2, expected.vector_size), (vectors, table.shape)
    rows = {word: table[k + 2] for k, word in enumerate(words)}
    compared = 0
    for token in expected.index_to_key:
        if can_be_a_form(token):
            assert numpy.array_equal(rows[token], expected[token]), (vectors, token)
            compared += 1
    assert compared > 0 and compared == len(words) - 1, (vectors, compared, len(words))
    print(f"{vectors.name}: {compared} vectors of {expected.vector_size} features")


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for file in TEXTS + BINARIES:
        binary = file in BINARIES
        expected = KeyedVectors.load_word2vec_format(str(FILES / file), binary=binary, datatype=numpy.float32)
        check(FILES / file, expected, folder)
        # What gensim writes of them, in the other forms.
        for form, other in (("text", False), ("binary", True)):
            again = folder / f"again.{form}"
            expected.save_word2vec_format(str(again), binary=other)
            check(again, KeyedVectors.load_word2vec_format(str(again), binary=other, datatype=numpy.float32), folder)
        packed = folder / "packed.gz"
        with open(FILES / file, "rb") as plain, gzip.open(packed, "wb") as out:
            shutil.copyfileobj(plain, out)
        check(packed, expected, folder)
    glove = KeyedVectors.load_word2vec_format(str(FILES / "test_glove.txt"), no_header=True, datatype=numpy.float32)
    check(FILES / "test_glove.txt", glove, folder)
    outcome = train(FILES / NOT_UTF8, folder)
    assert outcome.returncode == 0 and "rows are left out: CoNLL-U cannot hold" in outcome.stdout, outcome
    for file in FASTTEXT_MODELS:
        outcome = train(FILES / file, folder)
        assert outcome.returncode == 2 and "is a model of fastText" in outcome.stderr, (file, outcome.stderr)
