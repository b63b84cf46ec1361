# What the tests of the search share: its modules, folders for one test, taggers that only pretend to train.
# Without Optuna a test that includes this is skipped (status 77). Usage of each: TEST PROGRAM SEARCH DATA
# SPDX-License-Identifier: Apache-2.0
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import optuna
    import sqlalchemy
except ImportError:
    print("skipped: Optuna is not installed")
    sys.exit(77)

PROGRAM, SEARCH, DATA = (os.path.abspath(path) for path in sys.argv[1:4])
sys.path.insert(0, SEARCH)

State = optuna.trial.TrialState
SPACE = """
cell = ["gru", "rnn_tanh"]
hidden = {int = [4, 12], step = 4}
lr = {float = [5e-3, 5e-2], log = true}
layer-norm = false
char-filters = 0
embedding = 8
epochs = 3
"""
FAKE = """#!/bin/sh
[ "$2" = --help ] && exec {program} train --help
log=/dev/null
while [ $# -gt 0 ]; do
  case "$1" in --log) log=$2 ;; --out) out=$2 ;; esac
  shift
done
{body}
"""


class SearchCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.out = self.folder / "out"
        self.space = self.folder / "space.toml"
        self.space.write_text(SPACE, encoding="utf-8")
        for number in (signal.SIGINT, signal.SIGTERM):  # a search inside of this process changes them
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def fake(self, body):
        """A tagger that runs these lines of sh; $log is the file of its log, $out the folder of its model."""
        path = self.folder / "fake-tagger"
        path.write_text(FAKE.format(program=PROGRAM, body=body), encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    def words(self, *more):
        """The arguments of a search; of one that is there twice the last counts."""
        return ["--program", PROGRAM, "--train", f"{DATA}/train.conllu", "--dev", f"{DATA}/dev.conllu", "--out",
                str(self.out), "--space", str(self.space), "--threads", "2", *more]

    def command(self, *more):
        return [sys.executable, f"{SEARCH}/search.py", *self.words(*more)]

    def run_search(self, *more):
        return subprocess.run(self.command(*more), capture_output=True, text=True, check=False, timeout=300)

    @contextlib.contextmanager
    def begun_search(self, *more, **streams):
        """A search that runs while the block does. It is not waited for if the block fails."""
        with subprocess.Popen(self.command(*more), **{"stdout": subprocess.DEVNULL, **streams}, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def expect_error(self, text, *more):
        outcome = self.run_search(*more)
        self.assertEqual((outcome.returncode, outcome.stderr), (2, f"search.py: {text}\n"))

    def study(self, storage=None):
        return optuna.load_study(study_name="varlstm-tagger", storage=storage or f"sqlite:///{self.out}/study.db")

    def states(self):
        try:
            return [trial.state for trial in self.study().trials]
        except (KeyError, sqlalchemy.exc.SQLAlchemyError):  # the database is there, the study not yet
            return []

    def running_taggers(self):
        """Processes that train into this test's folder."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--log" in words and any(str(self.out).encode() in word for word in words):
                found.append(entry.name)
        return found

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 250
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)
