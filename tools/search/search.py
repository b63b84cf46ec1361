# Searches options of varlstm-tagger train with Optuna: several runs at once, the hopeless ones ended early, everything
# kept in a study that can be gone on with. «python3 search.py --help» lists the options, tools/README.md tells how.
# SPDX-License-Identifier: Apache-2.0
import argparse
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

try:
    import optuna
    from optuna.trial import TrialState
except ImportError:
    print("search.py needs Optuna: pip install -r tools/search/requirements.txt", file=sys.stderr)
    sys.exit(2)

import report
import space as spaces
import tagger

STUDY = "varlstm-tagger"
NAMELESS_SECONDS = 5  # after so long a trial whose process it does not name belongs to none
FAILURES_AT_FIRST = 3  # so many without a success end the search


class SearchError(Exception):
    """What stops the search: one line, status 2."""


def parse(words):
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Search for good options of varlstm-tagger train.",
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--train", required=True, nargs="+", help="CoNLL-U files to learn from")
    parser.add_argument("--dev", required=True, help="CoNLL-U file whose accuracy is to be as high as possible")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the study, the plots and the model")
    parser.add_argument("--space", type=pathlib.Path, default=here / "space.toml", help="TOML or JSON file, see space.py")
    parser.add_argument("--trials", type=int, default=20, help="trials of the study, with those of an earlier run")
    parser.add_argument("--workers", type=int, default=1, help="trials at once, which share the cores")
    parser.add_argument("--threads", type=int, default=0, help="cores to use; 0: all")
    parser.add_argument("--sampler", choices=("tpe", "random"), default="tpe")
    parser.add_argument("--pruner", choices=("median", "halving", "none"), default="median",
                        help="ends trials whose accuracy stays behind")
    parser.add_argument("--seed", type=int, default=1, help="of the sampler")
    parser.add_argument("--storage", help="where the study is: an URL of a database (default: OUT/study.db), or "
                        "journal:FILE; several machines may share one")
    parser.add_argument("--resume", action="store_true", help="go on with the study that is there, or share it")
    parser.add_argument("--program", default=shutil.which("varlstm-tagger") or here.parents[1] / "build/bin/varlstm-tagger",
                        help="the tagger")
    args = parser.parse_args(words)
    for name in ("trials", "workers"):
        if getattr(args, name) < 1:
            raise SearchError(f"--{name} = {getattr(args, name)} is not positive")
    if args.threads < 0:
        raise SearchError(f"--threads = {args.threads} is negative")
    if not os.access(args.program, os.X_OK):
        raise SearchError(f"--program = {args.program}: there is no such program; sh tools/quickstart.sh builds it")
    return args


def open_storage(args):
    if args.storage is None:
        return optuna.storages.RDBStorage(f"sqlite:///{args.out / 'study.db'}", heartbeat_interval=10, grace_period=40,
                                          engine_kwargs={"connect_args": {"timeout": 60}})
    if args.storage.startswith("journal:"):
        path = args.storage[len("journal:"):]
        if hasattr(optuna.storages, "journal"):
            return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
        return optuna.storages.JournalStorage(optuna.storages.JournalFileStorage(path))
    return optuna.storages.RDBStorage(args.storage, heartbeat_interval=10, grace_period=40)


def open_study(args, space):
    storage = open_storage(args)
    exists = any(summary.study_name == STUDY for summary in optuna.get_all_study_summaries(storage))
    if exists and not args.resume:
        raise SearchError(f"there is a study already in {args.storage or args.out / 'study.db'}: --resume goes on with it")
    before = len(optuna.load_study(study_name=STUDY, storage=storage).trials) if exists else 0
    seed = args.seed + before  # a study that is gone on with does not begin with the same draws
    if args.sampler == "tpe":
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=args.workers > 1,
                                             n_startup_trials=min(10, max(4, args.trials // 4)))
    else:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    pruner = {"median": optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
              "halving": optuna.pruners.SuccessiveHalvingPruner(), "none": optuna.pruners.NopPruner()}[args.pruner]
    study = optuna.create_study(study_name=STUDY, storage=storage, sampler=sampler, pruner=pruner, direction="maximize",
                                load_if_exists=True)
    known = study.user_attrs.get("space")
    if known is None:
        study.set_user_attr("space", space)
    elif known != space:
        changed = sorted(name for name in {*known, *space} if known.get(name) != space.get(name))
        raise SearchError(f"the study has another space than {args.space}: {', '.join(changed)} differ")
    return study


def forget_dead_trials(study):
    """Trials of processes of this machine that are no more have failed."""
    def running():
        return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    if any("worker" not in trial.user_attrs for trial in running()):
        time.sleep(NAMELESS_SECONDS)  # one that has just begun says whose it is
    for trial in running():
        host, _, process = trial.user_attrs.get("worker", "").rpartition(":")
        if "worker" not in trial.user_attrs:
            study.tell(trial.number, state=TrialState.FAIL)
            continue
        if host != socket.gethostname():
            continue
        try:
            if int(process) == os.getpid():  # an earlier process had the same number, as in a container
                raise ProcessLookupError
            os.kill(int(process), 0)
        except ProcessLookupError:
            study.tell(trial.number, state=TrialState.FAIL)
        except PermissionError:
            pass


class Search:
    """The trials that this process runs."""

    def __init__(self, args, study, space):
        self.args, self.study, self.space = args, study, space
        self.stopping = threading.Event()
        self.turn = threading.Lock()
        self.threads = max((args.threads or os.cpu_count() or 1) // args.workers, 1)
        self.errors = []  # of trials
        self.fault = ""  # what ended the search itself

    def command(self, options, out, threads):
        args = self.args
        return [str(args.program), "train", "--train", *args.train, "--dev", args.dev, "--out", str(out), "--threads",
                str(threads), *spaces.arguments(options)]

    def objective(self, trial):
        trial.set_user_attr("worker", f"{socket.gethostname()}:{os.getpid()}")
        options = spaces.suggest(trial, self.space)
        folder = self.args.out / "trials" / str(trial.number)
        folder.mkdir(parents=True, exist_ok=True)
        best = -1.0

        def on_epoch(epoch):
            nonlocal best
            best = max(best, epoch["dev"])
            trial.report(best, epoch["epoch"])
            trial.set_user_attr("epochs", epoch["epoch"])
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            tagger.train(self.command(options, folder / "model", self.threads), str(folder / "log.jsonl"), on_epoch,
                         self.stopping)
            if best < 0:
                raise tagger.TrainingFailed("the program ended without an epoch")
        except tagger.TrainingFailed as error:
            trial.set_user_attr("error", str(error))
            self.errors.append(str(error))
            raise
        finally:
            shutil.rmtree(folder / "model", ignore_errors=True)  # the best one is made again at the end
        return best

    def next_trial_is_due(self):
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        trials = self.study.get_trials(deepcopy=False)
        none_succeeded = not any(trial.state in states[:2] for trial in trials)
        if len(self.errors) >= (FAILURES_AT_FIRST if none_succeeded else FAILURES_AT_FIRST + self.args.trials):
            self.stopping.set()
        return not self.stopping.is_set() and sum(trial.state in states for trial in trials) < self.args.trials

    def work(self):
        while True:
            with self.turn:  # so that two workers do not begin the last trial both
                if not self.next_trial_is_due():
                    return
                started = threading.Event()
                runner = threading.Thread(target=self.run_one, args=(started,))
                runner.start()
                started.wait()
            runner.join()

    def run_one(self, started):
        def objective(trial):
            started.set()
            return self.objective(trial)

        def show(_, trial):
            value = f"dev {trial.value:.4f}" if trial.value is not None else trial.user_attrs.get("error", "")
            options = " ".join(spaces.arguments(trial.params))
            print(f"trial {trial.number}  {trial.state.name.lower()}  {value}  {options}", flush=True)

        try:
            self.study.optimize(objective, n_trials=1, catch=(tagger.TrainingFailed, tagger.Stopped), callbacks=[show])
        except Exception as error:  # of the disk, the database, the sampler: the next trial would meet it too
            self.fault = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no text'}"
            self.stopping.set()
        finally:
            started.set()

    def run(self):
        workers = [threading.Thread(target=self.work) for _ in range(self.args.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def finish(search):
    """Table, plots, and the best model trained again. Returns the exit status."""
    args, study = search.args, search.study
    print(f"\n{report.counts_text(study)}")
    best = report.finished(study)
    report.write_csv(study, args.out / "trials.csv")
    if not best:
        print(search.fault or (search.errors[-1] if search.errors else "no trial has ended"), file=sys.stderr)
        return 2
    print(report.table(study), end="")
    for problem in report.write_plots(study, args.out):
        print(problem, file=sys.stderr)
    options = spaces.suggest(optuna.trial.FixedTrial(best[0].params), search.space)
    command = search.command(options, args.out / "model", args.threads)
    (args.out / "best.json").write_text(
        json.dumps({"trial": best[0].number, "dev": best[0].value, "options": options, "command": shlex.join(command)},
                   indent=1) + "\n", encoding="utf-8")
    if search.fault:
        print(f"search.py: the search ended: {search.fault}", file=sys.stderr)
        return 2
    if search.stopping.is_set():
        return 130
    print(f"the best once more: {shlex.join(command)}", flush=True)
    return subprocess.run(command, check=False).returncode


def main(words):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore")
    args = parse(words)
    space = spaces.read_space(args.space, tagger.known_options(args.program))
    args.out.mkdir(parents=True, exist_ok=True)
    study = open_study(args, space)
    forget_dead_trials(study)
    search = Search(args, study, space)
    signal.signal(signal.SIGINT, lambda *_: search.stopping.set())
    signal.signal(signal.SIGTERM, lambda *_: search.stopping.set())
    search.run()
    return finish(search)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (SearchError, spaces.SpaceError) as fault:
        print(f"search.py: {fault}", file=sys.stderr)
        sys.exit(2)
