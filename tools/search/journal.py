# A study in a file of lines, which several machines may share: Optuna's journal, with what it lacks after a crash.
# SPDX-License-Identifier: Apache-2.0
import json
import os
import time
import uuid

import optuna
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import TrialState

from fault import SearchError, shown

LOCK_SECONDS = 15  # a lock that is as old belongs to a process that was killed: each line takes milliseconds


class Lock:
    """Optuna's own lock, a symbolic link beside the journal. Optuna 3.1 waits for ever if its process was killed."""

    def __init__(self, path):
        self.path, self.link = path, f"{path}.lock"

    def acquire(self):
        seen, since = None, time.monotonic()
        while True:
            try:
                os.symlink(self.path, self.link)
                return True
            except FileExistsError:
                time.sleep(0.005)
            try:
                status = os.lstat(self.link)
            except FileNotFoundError:
                continue
            if (status.st_ino, status.st_mtime_ns) != seen:
                seen, since = (status.st_ino, status.st_mtime_ns), time.monotonic()
            elif time.monotonic() - since > LOCK_SECONDS:
                self.release()

    def release(self):
        away = f"{self.link}.{uuid.uuid4()}"  # of two that take an old lock away, one finds no more link
        try:
            os.rename(self.link, away)
            os.unlink(away)
        except FileNotFoundError:
            pass


class Journal(optuna.storages.JournalStorage, BaseHeartbeat):
    """A journal in which a trial's process says every INTERVAL seconds that it runs, as in Optuna's databases."""

    INTERVAL = 10

    def __init__(self, path, grace):
        check_journal(path)
        if hasattr(optuna.storages, "journal"):
            backend = optuna.storages.journal.JournalFileBackend(path, lock_obj=Lock(path))
        else:
            backend = optuna.storages.JournalFileStorage(path, lock_obj=Lock(path))
        super().__init__(backend)
        self.grace = grace

    def record_heartbeat(self, trial_id):
        try:
            self.set_trial_system_attr(trial_id, "heartbeat", time.time())
        except RuntimeError:  # the trial has an end already
            pass

    def _get_stale_trial_ids(self, study_id):
        def last_sign(trial):
            return trial.system_attrs.get("heartbeat", trial.datetime_start.timestamp())

        running = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.RUNNING,))
        return [trial._trial_id for trial in running if last_sign(trial) < time.time() - self.grace]

    def get_heartbeat_interval(self):
        return self.INTERVAL

    def get_failed_trial_callback(self):
        return None

    get_heartbeat_stale_trial_callback = get_failed_trial_callback  # its name from Optuna 4.9 on


def check_journal(path):
    """A file that is no journal is left as it is."""
    try:
        with open(path, "rb") as file:
            first = file.readline()
    except FileNotFoundError:
        return
    try:
        is_journal = not first or "op_code" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        is_journal = False
    if not is_journal:
        raise SearchError(f"--storage = journal:{shown(path)}: the file is no journal of Optuna")
