# Which trials a search takes for lost: those whose process is no more, also if another has its number now, and those of
# which another machine has heard nothing. See case.py for the usage.
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from case import SearchCase, State, optuna
import journal
import options
import study
import worker


class LostTrialsTest(SearchCase):
    def open(self, storage=None, *more):
        arguments = options.parse(self.words(*(("--storage", storage) if storage else ()), *more))
        options.make_out(self.out)
        return study.open_study(arguments, {"hidden": [1, 2]})

    def storages(self):
        return [None, f"journal:{self.folder}/journal"]

    def test_identity_of_a_process(self):
        with subprocess.Popen(["sleep", "1000"]) as process:
            self.wait_for(lambda: worker.start_of(process.pid), "it has begun")
            known = worker.identity(process.pid)
            self.assertFalse(worker.is_gone(known))
            self.assertTrue(worker.is_gone({**known, "started": known["started"] - 1}), "another had this number before")
            self.assertFalse(worker.is_gone({**known, "started": 0, "space": "of another machine"}))
            process.kill()
            self.wait_for(lambda: worker.is_gone(known), "nobody has waited for it yet, but it is no more")
        self.assertTrue(worker.is_gone(known))
        self.assertFalse(worker.is_gone(worker.identity()))
        self.assertFalse(worker.is_gone("host:12"), "what is no identity says nothing")

    def test_processes_of_this_machine(self):
        here = worker.identity()
        cases = [(here, State.RUNNING), ({**here, "started": here["started"] - 1}, State.FAIL),
                 ({**here, "process": 2**31 - 1}, State.FAIL), ({**here, "space": "elsewhere", "started": 0}, State.RUNNING),
                 (None, State.FAIL)]
        for storage in self.storages():
            with self.subTest(storage=storage), mock.patch.object(study, "NAMELESS_SECONDS", -1):
                opened = self.open(storage)
                for named, _ in cases:
                    trial = opened.ask()
                    if named is not None:
                        trial.set_user_attr("worker", named)
                ended = opened.ask()
                opened.tell(ended, 0.5)
                opened = self.open(storage, "--resume")
                study.fail_lost_trials(opened)
                self.assertEqual([trial.state for trial in opened.trials],
                                 [expected for _, expected in cases] + [State.COMPLETE])

    def test_processes_of_other_machines_in_a_journal(self):
        opened = self.open(f"journal:{self.folder}/journal")
        now = time.time()
        cases = [(now + 1000, State.RUNNING), (now - study.GRACE_SECONDS - 1, State.FAIL)]
        for beat, _ in cases:
            trial = opened.ask()
            trial.set_user_attr("worker", {**worker.identity(), "space": "elsewhere"})
            opened._storage.set_trial_system_attr(trial._trial_id, "heartbeat", beat)
        study.fail_lost_trials(opened)
        self.assertEqual([trial.state for trial in opened.trials], [expected for _, expected in cases])

    def test_trials_of_a_journal_give_signs(self):
        def objective(trial):
            self.wait_for(lambda: "heartbeat" in opened.trials[trial.number].system_attrs, "a sign")
            return 0.5

        opened = self.open(f"journal:{self.folder}/journal")
        opened.optimize(objective, n_trials=1)
        self.assertLess(abs(opened.trials[0].system_attrs["heartbeat"] - time.time()), 300)
        opened._storage.record_heartbeat(opened.trials[0]._trial_id)  # too late, and no error

    def test_killed_search_goes_on_in_a_journal(self):
        storage = f"journal:{self.folder}/journal"
        with self.begun_search("--program", self.fake("sleep 1000"), "--storage", storage, "--workers", "2") as process:
            self.wait_for(lambda: len(self.running_taggers()) == 2, "two trials run")
            process.kill()
            process.wait()
        tagger = self.fake("""echo '{"epoch": 1, "dev": 0.5}' > $log""")
        outcome = self.run_search("--program", tagger, "--storage", storage, "--trials", "2", "--resume")
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn("2 complete, 2 fail\n", outcome.stdout)

    def test_lock_of_a_killed_process(self):
        path = f"{self.folder}/journal"
        lock = journal.Lock(path)
        lock.acquire()
        with mock.patch.object(journal, "LOCK_SECONDS", 0.1):
            self.open(f"journal:{path}")
        self.assertEqual(sorted(file.name for file in self.folder.glob("journal*")), ["journal"])

    def test_lock_keeps_others_out(self):
        inside, most = [], []

        def work():
            lock = journal.Lock(f"{self.folder}/journal")
            for _ in range(30):
                lock.acquire()
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
                lock.release()

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(most), max(most)), (90, 1))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    unittest.main(argv=["lost_trials_test", *sys.argv[4:]], verbosity=2)
