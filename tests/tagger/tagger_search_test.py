# The search over hyperparameters (tools/search), on small networks: what it finds, how it goes on after it was killed, what
# it says of bad input. Without Optuna the test is skipped (status 77). Usage: tagger_search_test.py PROGRAM SEARCH DATA
# SPDX-License-Identifier: Apache-2.0
import json
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
import space  # noqa: E402
import tagger  # noqa: E402

State = optuna.trial.TrialState
SPACE = """
cell = ["gru", "rnn_tanh"]
hidden = {int = [4, 12], step = 4}
lr = {float = [5e-3, 5e-2], log = true}
layer-norm = false
embedding = 8
epochs = 3
"""


class SearchTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.out = self.folder / "out"
        self.space = self.folder / "space.toml"
        self.space.write_text(SPACE, encoding="utf-8")

    def command(self, *more):
        return [sys.executable, f"{SEARCH}/search.py", "--program", PROGRAM, "--train", f"{DATA}/train.conllu", "--dev",
                f"{DATA}/dev.conllu", "--out", str(self.out), "--space", str(self.space), "--threads", "2", *more]

    def run_search(self, *more):
        return subprocess.run(self.command(*more), capture_output=True, text=True, check=False, timeout=300)

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
            if words[0] == PROGRAM.encode() and any(str(self.out).encode() in word for word in words):
                found.append(entry.name)
        return found

    def wait_for(self, condition, what):
        deadline = time.monotonic() + 400
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.05)

    def test_best_trial_is_trained_again(self):
        outcome = self.run_search("--trials", "6", "--workers", "2")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        states = self.states()
        self.assertEqual(len(states), 6)
        self.assertLessEqual(set(states), {State.COMPLETE, State.PRUNED})
        best = json.loads((self.out / "best.json").read_text(encoding="utf-8"))
        values = [trial.value for trial in self.study().trials if trial.state == State.COMPLETE]
        self.assertEqual(best["dev"], max(values))
        config = json.loads((self.out / "model" / "config.json").read_text(encoding="utf-8"))
        self.assertEqual(config["dev_accuracy"], best["dev"], "the same options give the same model")
        for name in ("cell", "hidden", "embedding"):
            self.assertEqual(config[name], best["options"][name])
        rows = (self.out / "trials.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(rows), 7)
        self.assertIn(f"{best['dev']:.4f}", outcome.stdout)
        self.assertEqual(list((self.out / "trials").glob("*/model")), [], "models of trials are not kept")
        for name in ("history.png", "parallel.png", "history.html", "parallel.html"):
            drawn = (self.out / name).exists()
            self.assertTrue(drawn or f"{name} could not be drawn" in outcome.stderr, name)

        self.expect_error(f"there is a study already in {self.out}/study.db: --resume goes on with it", "--trials", "6")
        self.space.write_text(SPACE.replace("12", "16"), encoding="utf-8")
        self.expect_error(f"the study has another space than {self.space}: hidden differ", "--trials", "6", "--resume")

    def test_killed_search_goes_on(self):
        self.space.write_text(SPACE.replace("epochs = 3", "epochs = 40\npatience = 0"), encoding="utf-8")
        with subprocess.Popen(self.command("--trials", "5", "--workers", "2", "--pruner", "none"),
                              stdout=subprocess.DEVNULL) as process:
            self.wait_for(lambda: (self.out / "study.db").exists(), "the study begins")

            def in_the_middle():
                self.assertIsNone(process.poll(), "the search ended before it was seen in the middle")
                states = self.states()
                return State.COMPLETE in states and State.RUNNING in states

            self.wait_for(in_the_middle, "a trial ends")
            process.kill()
        self.assertIn(self.states().count(State.RUNNING), (1, 2))
        self.study().ask()  # what a search leaves that is killed before its trial names the process
        before = self.states()
        self.wait_for(lambda: not self.running_taggers(), "the trials' processes die with the search")
        outcome = self.run_search("--trials", "5", "--workers", "2", "--pruner", "none", "--resume")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        after = self.states()
        self.assertEqual(after.count(State.COMPLETE), 5)
        self.assertEqual(after.count(State.FAIL), before.count(State.RUNNING), "only running trials are lost")
        self.assertEqual(after.count(State.RUNNING), 0)
        for old, new in zip(before, after):
            self.assertTrue(old == new or old == State.RUNNING)

    def test_interrupt_ends_with_what_there_is(self):
        self.space.write_text(SPACE.replace("epochs = 3", "epochs = 8"), encoding="utf-8")
        journal = f"{self.folder}/journal"
        with subprocess.Popen(self.command("--trials", "50", "--workers", "2", "--storage", f"journal:{journal}"),
                              stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            self.assertEqual(process.wait(), 130)
        self.assertTrue(all(line.startswith("trial ") for line in lines), lines)
        self.assertIn("dev", rest)
        self.assertTrue((self.out / "best.json").exists())
        self.assertEqual(self.running_taggers(), [])

    def test_failing_trials_are_told(self):
        self.space.write_text('hidden = [4, 8]\nprojection = 8\nembedding = 4\nepochs = 1\n', encoding="utf-8")
        outcome = self.run_search("--trials", "5")
        self.assertEqual(outcome.returncode, 2)
        self.assertIn("projection = 8 is not below hidden = ", outcome.stderr)
        self.assertEqual(self.states(), [State.FAIL] * 3, "three failures and no success end the search")

    def test_faults_of_the_search_itself_end_it(self):
        self.out.mkdir()
        (self.out / "trials").write_text("in the way", encoding="utf-8")
        outcome = self.run_search("--trials", "4", "--workers", "2")
        self.assertEqual(outcome.returncode, 2)
        self.assertEqual(len(outcome.stderr.splitlines()), 1, outcome.stderr)
        self.assertIn("NotADirectoryError", outcome.stderr)
        self.assertLessEqual(len(self.states()), 2)

    def test_spaces(self):
        def space_error(text, message, name="space.toml"):
            self.space = self.folder / name
            self.space.write_text(text, encoding="utf-8")
            with self.assertRaises(space.SpaceError) as caught:
                space.read_space(self.space, known)
            self.assertEqual(str(caught.exception), f"{self.space}: {message}")

        known = tagger.known_options(PROGRAM)
        self.assertTrue({"cell", "hidden", "lr", "layer-norm", "zoneout"} <= known, known)
        space_error("", "there is no option in it")
        space_error("layers = 1", "every option has one value: there is nothing to search")
        space_error("hiden = [1, 2]", "varlstm-tagger train has no option --hiden")
        space_error("train = ['a', 'b']", "train is given on the command line of the search")
        space_error("hidden = []", "hidden = [] is no list of texts, numbers, true and false")
        space_error("hidden = [8, 8]", "hidden = [8, 8] has a value twice")
        space_error('{"layer-norm": [1, true]}', "layer-norm = [1, true] has a value twice", "space.json")
        space_error("hidden = {int = [8, 4]}", 'hidden = {"int": [8, 4]} has a low end that is not below its high end')
        space_error("hidden = {int = [8.5, 9]}", 'hidden = {"int": [8.5, 9]} has no two whole numbers as its ends')
        space_error("lr = {float = [0, 1], log = true}",
                    'lr = {"float": [0, 1], "log": true} has a low end that has no logarithm')
        space_error("lr = {float = [0, 1], step = 0}", 'lr = {"float": [0, 1], "step": 0} has a step that is not positive, '
                    "or beside log")
        space_error("lr = {uniform = [0, 1]}", 'lr = {"uniform": [0, 1]} is neither {int = [low, high]} nor {float = [low, '
                    "high]}, with step or log")
        space_error('{"hidden": [1, 2], "lr": {"float": [1]}}',
                    'lr = {"float": [1]} has no two numbers as its ends', "space.json")
        self.space = self.folder / "space.toml"
        self.space.write_text("layers = 1", encoding="utf-8")
        self.expect_error(f"{self.space}: every option has one value: there is nothing to search")
        self.space = self.folder / "none.toml"
        self.expect_error(f"cannot read {self.space}: No such file or directory")
        self.expect_error("--trials = 0 is not positive", "--trials", "0")
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
