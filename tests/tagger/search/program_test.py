# The search over hyperparameters (tools/search) as a program, on small networks: what it finds, how it goes on after it
# was killed, how it ends. See case.py for the usage.
# SPDX-License-Identifier: Apache-2.0
import json
import signal
import subprocess
import sys
import unittest

from case import SPACE, SearchCase, State
import worker


class SearchTest(SearchCase):
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
        with self.begun_search("--trials", "5", "--workers", "2", "--pruner", "none") as process:
            self.wait_for(lambda: (self.out / "study.db").exists(), "the study begins")

            def in_the_middle():
                self.assertIsNone(process.poll(), "the search ended before it was seen in the middle")
                states = self.states()
                return State.COMPLETE in states and State.RUNNING in states

            self.wait_for(in_the_middle, "a trial ends")
            process.kill()
        self.assertIn(self.states().count(State.RUNNING), (1, 2))
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
        with self.begun_search("--trials", "50", "--workers", "2", "--storage", f"journal:{journal}",
                               stdout=subprocess.PIPE) as process:
            lines = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGINT)
            rest = process.stdout.read()
            self.assertEqual(process.wait(timeout=60), 130)
        self.assertTrue(all(line.startswith("trial ") for line in lines), lines)
        self.assertIn("dev", rest)
        self.assertTrue((self.out / "best.json").exists())
        self.assertEqual(self.running_taggers(), [])

    def test_signal_does_not_wait_for_the_log(self):
        """The taggers are far ahead of the search, which would take minutes for all their epochs."""
        tagger = self.fake("""seq 1 100000 | sed 's/.*/{"epoch": &, "dev": 0.5}/' > $log
            sleep 1000 & echo $! > $log.child; wait""")
        with self.begun_search("--program", tagger, "--workers", "2", "--pruner", "none",
                               stderr=subprocess.PIPE) as process:
            self.wait_for(lambda: len(list(self.out.glob("trials/*/log.jsonl.child"))) == 2, "both taggers have written")
            self.wait_for(lambda: all(trial.intermediate_values for trial in self.study().trials), "the search reads")
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, errors), (143, "the search was ended: --resume goes on with it\n"))
        self.assertEqual(self.states(), [State.FAIL] * 2)
        for trial in self.study().trials:
            self.assertEqual(trial.user_attrs["error"], "the search was ended")
            self.assertLess(len(trial.intermediate_values), 1000, "most epochs of a log that is far ahead are left out")
        self.assertEqual(self.running_taggers(), [])
        for file in self.out.glob("trials/*/log.jsonl.child"):
            child = file.read_text(encoding="utf-8").strip()
            self.wait_for(lambda child=child: not worker.start_of(child), "children of the tagger end too")

    def test_signal_during_the_last_training(self):
        tagger = self.fake("""echo '{"epoch": 1, "dev": 0.5}' > $log
            if [ $log = /dev/null ]; then touch $out.begun; sleep 1000; fi""")
        with self.begun_search("--program", tagger, "--trials", "2", stderr=subprocess.DEVNULL) as process:
            self.wait_for((self.out / "model.begun").exists, "the best one is trained")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 143)
        self.assertEqual(self.states(), [State.COMPLETE] * 2)
        self.assertEqual(self.running_taggers(), [])

    def test_trial_that_another_search_failed(self):
        tagger = self.fake("""echo '{"epoch": 1, "dev": 0.5}' > $log
            while [ -e %s/wait ]; do sleep 0.1; done
            echo '{"epoch": 2, "dev": 0.75}' >> $log""" % self.folder)
        (self.folder / "wait").touch()
        with self.begun_search("--program", tagger, "--trials", "2", stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT) as process:
            self.wait_for(lambda: self.states() == [State.RUNNING] and self.study().trials[0].intermediate_values,
                          "a trial has an epoch")
            self.study().tell(0, state=State.FAIL)
            (self.folder / "wait").unlink()
            output = process.communicate()[0]
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("trial 0  another search took it for lost\n", output)
        self.assertEqual(self.states(), [State.FAIL, State.COMPLETE, State.COMPLETE])

    def test_failing_trials_are_told(self):
        self.space.write_text('hidden = [4, 8]\nprojection = 8\nembedding = 4\nepochs = 1\n', encoding="utf-8")
        outcome = self.run_search("--trials", "5")
        self.assertEqual(outcome.returncode, 2)
        self.assertRegex(outcome.stderr, "^search.py: the search ended: 3 trials have failed, the last one with: "
                         "varlstm-tagger: .*projection = 8 is not below hidden = ")
        self.assertEqual(self.states(), [State.FAIL] * 3, "three failures and no success end the search")

    def test_faults_of_the_search_itself_end_it(self):
        self.out.mkdir()
        (self.out / "trials").write_text("in the way", encoding="utf-8")
        outcome = self.run_search("--trials", "4", "--workers", "2")
        self.assertEqual(outcome.returncode, 2)
        self.assertEqual(len(outcome.stderr.splitlines()), 1, outcome.stderr)
        self.assertIn("NotADirectoryError", outcome.stderr)
        self.assertLessEqual(len(self.states()), 2)


if __name__ == "__main__":
    unittest.main(argv=["program_test", *sys.argv[4:]], verbosity=2)
