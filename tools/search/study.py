# The study: where it is kept, how it is begun or gone on with, and which of its trials are lost.
# SPDX-License-Identifier: Apache-2.0
import datetime
import os
import urllib.parse

import optuna
import sqlalchemy
from optuna.trial import TrialState

import worker
from fault import SearchError, reason, shown
from journal import Journal

NAME = "varlstm-tagger"
NAMELESS_SECONDS = 30  # after so long a trial that does not name its process belongs to none
ATTEMPTS = 20  # to make the tables of a database that another process makes too
GRACE_SECONDS = 40  # a trial of another machine that has given no sign for so long is lost


def place(args):
    """Where the study is, for messages."""
    return shown(args.out / "study.db" if args.storage is None else args.storage)


def sqlite_address(path):
    """The URL of a file whose name may have any character."""
    name = "file:" + urllib.parse.quote(os.path.abspath(path))
    for written in (name, urllib.parse.quote(name)):  # SQLAlchemy decodes it from 2.1 on
        address = f"sqlite:///{written}?uri=true"
        if sqlalchemy.engine.make_url(address).database == name:
            break
    return address


def open_storage(args):
    address = sqlite_address(args.out / "study.db") if args.storage is None else args.storage
    if address.startswith("journal:"):
        return Journal(address[len("journal:"):], GRACE_SECONDS)
    url = sqlalchemy.engine.make_url(address)
    options = {}
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise SearchError(f"--storage = {place(args)}: a study in memory would end with the search")
        options = {"connect_args": {"timeout": 60}}
    braces = address.replace("{", "{{").replace("}", "}}")  # Optuna takes the address for a template
    return optuna.storages.RDBStorage(braces, heartbeat_interval=Journal.INTERVAL, grace_period=GRACE_SECONDS,
                                      engine_kwargs=options)


def sampler_of(args, trials_before):
    seed = (args.seed + trials_before) % 2**32  # a study that is gone on with does not begin with the same draws
    if args.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=args.workers > 1,
                                      n_startup_trials=min(10, max(4, args.trials // 4)))


def pruner_of(args):
    return {"median": optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            "halving": optuna.pruners.SuccessiveHalvingPruner(), "none": optuna.pruners.NopPruner()}[args.pruner]


def load_or_create(args, space):
    """The study, and the space that it was begun with."""
    storage = open_storage(args)
    exists = any(summary.study_name == NAME for summary in optuna.get_all_study_summaries(storage))
    if exists and not args.resume:
        raise SearchError(f"there is a study already in {place(args)}: --resume goes on with it")
    before = len(optuna.load_study(study_name=NAME, storage=storage).trials) if exists else 0
    study = optuna.create_study(study_name=NAME, storage=storage, sampler=sampler_of(args, before),
                                pruner=pruner_of(args), direction="maximize", load_if_exists=True)
    if "space" not in study.user_attrs:
        study.set_user_attr("space", space)
    return study, study.user_attrs["space"]


def open_study(args, space):
    for attempt in reversed(range(ATTEMPTS)):
        try:
            study, known = load_or_create(args, space)
            break
        except SearchError:
            raise
        except Exception as error:  # of any database and its driver
            if attempt > 0 and (isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in str(error)):
                continue  # another process makes the same tables
            argument = "--out" if args.storage is None else "--storage"
            raise SearchError(f"{argument} = {place(args)}: {reason(error)}") from error
    if known != space:
        changed = sorted(name for name in {*known, *space} if known.get(name) != space.get(name))
        raise SearchError(f"the study has another space than {shown(args.space)}: {', '.join(changed)} differ")
    return study


def as_it_is_now(study):
    """Optuna 3.1 remembers the trials of this process, and does not see that another process has failed one."""
    storage = study._storage
    if isinstance(storage, optuna.storages._CachedStorage):
        storage = storage._backend
    return optuna.load_study(study_name=NAME, storage=storage)


def fail_lost_trials(study):
    """Trials whose process is no more have failed."""
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        age = (datetime.datetime.now() - trial.datetime_start).total_seconds()
        if worker.is_gone(trial.user_attrs["worker"]) if "worker" in trial.user_attrs else age > NAMELESS_SECONDS:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
