# The trials that this process runs: several at once, each a run of the tagger.
# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import sys
import threading

import optuna
from optuna.trial import TrialState

import space as spaces
import tagger
import worker
from fault import reason
from study import as_it_is_now, fail_lost_trials

FAILURES_AT_FIRST = 3  # so many without a success end the search
WAIT_SECONDS = 1


def say(line):
    """print() writes the line's end by itself, and the line of another trial may come before it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Search:
    def __init__(self, args, study, space):
        self.args, self.study, self.space = args, study, space
        self.worker = worker.identity()
        self.stopping = threading.Event()
        self.signal = 0  # that ended the search
        self.turn = threading.Lock()
        self.threads = max((args.threads or os.cpu_count() or 1) // args.workers, 1)
        self.errors = []  # of trials
        self.fault = ""  # what ended the search itself

    def stop(self, signal):
        self.signal = signal
        self.stopping.set()

    def command(self, options, out):
        args = self.args
        return [args.program, "train", "--train", *args.train, "--dev", args.dev, "--out", str(out), "--threads",
                str(self.threads), *spaces.arguments(options)]

    def objective(self, trial):
        trial.set_user_attr("worker", self.worker)
        options = spaces.suggest(trial, self.space)
        folder = self.args.out / "trials" / str(trial.number)
        folder.mkdir(parents=True, exist_ok=True)

        def on_epoch(number, best):
            trial.report(best, number)
            trial.set_user_attr("epochs", number)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            return tagger.train(self.command(options, folder / "model"), str(folder / "log.jsonl"), on_epoch, self.stopping)
        except tagger.TrainingFailed as error:
            trial.set_user_attr("error", str(error))
            self.errors.append(str(error))
            raise
        except tagger.Stopped:
            trial.set_user_attr("error", "the search was ended")
            raise
        finally:
            shutil.rmtree(folder / "model", ignore_errors=True)  # the best one is made again at the end

    def next_trial_is_due(self):
        """None while that depends on trials that run."""
        study = as_it_is_now(self.study)
        fail_lost_trials(study)
        trials = study.get_trials(deepcopy=False)
        ended = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
        running = sum(trial.state == TrialState.RUNNING for trial in trials)
        if len(self.errors) >= (FAILURES_AT_FIRST if ended == 0 else FAILURES_AT_FIRST + self.args.trials):
            self.fault = f"{len(self.errors)} trials have failed, the last one with: {self.errors[-1]}"
            self.stopping.set()
        if self.stopping.is_set() or ended >= self.args.trials:
            return False
        return True if ended + running < self.args.trials else None

    def work(self):
        try:
            while True:
                with self.turn:  # so that two workers do not begin the last trial both
                    due = self.next_trial_is_due()
                    if due:
                        started = threading.Event()
                        runner = threading.Thread(target=self.run_one, args=(started,))
                        runner.start()
                        started.wait()
                if due:
                    runner.join()
                elif due is None:  # a trial that runs may fail, here or in another search
                    self.stopping.wait(WAIT_SECONDS)
                else:
                    return
        except Exception as error:
            self.end_by(error)

    def run_one(self, started):
        number, lost = None, False

        def is_running():
            return as_it_is_now(self.study).get_trials(deepcopy=False)[number].state == TrialState.RUNNING

        def objective(trial):
            nonlocal number, lost
            number = trial.number
            started.set()
            try:
                return self.objective(trial)
            finally:
                lost = not is_running()

        try:
            self.study.optimize(objective, n_trials=1, catch=(tagger.TrainingFailed, tagger.Stopped),
                                callbacks=[self.show])
        except Exception as error:
            if lost:
                say(f"trial {number}  another search took it for lost")
            else:
                self.end_by(error)
        finally:
            started.set()

    def end_by(self, error):
        """Of the disk, the database, the sampler: the next trial would meet it too."""
        self.fault = f"{type(error).__name__}: {reason(error)}"
        self.stopping.set()

    @staticmethod
    def show(_, trial):
        value = f"dev {trial.value:.4f}" if trial.value is not None else trial.user_attrs.get("error", "")
        options = " ".join(spaces.arguments(trial.params))
        say(f"trial {trial.number}  {trial.state.name.lower()}  {value}  {options}")

    def run(self):
        workers = [threading.Thread(target=self.work) for _ in range(self.args.workers)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
