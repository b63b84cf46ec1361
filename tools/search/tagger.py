# One run of varlstm-tagger train as a process: its options, its log while it runs, its end.
# SPDX-License-Identifier: Apache-2.0
import contextlib
import ctypes
import json
import math
import os
import re
import signal
import subprocess
import tempfile
import threading

from fault import SearchError, reason, shown

POLL_SECONDS = 0.1
HELP_SECONDS = 60
END_SECONDS = 5  # for a program that is told to end, until it is killed
LIMIT = 1 << 20  # bytes of a help, of the last errors
LATEST = 10  # epochs of what is read at once
NEEDED = {"train", "dev", "out", "log", "threads"}
SET_DEATH_SIGNAL = 1
prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux; looked up here, not between fork and exec


class TrainingFailed(Exception):
    """The program ended with an error; the text is its last line."""


class Stopped(Exception):
    """The search is to end."""


@contextlib.contextmanager
def running(command, **streams):
    """The program as a process group, which ends with the block. The kernel ends it with the search, even if that is
    killed."""
    parent = os.getpid()

    def die_with_parent():
        if prctl is not None:
            prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent,
                          **streams) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process, number=signal.SIGKILL):
    """Sends the signal to the program, and to its children if it is a script that runs the tagger."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def known_options(program):
    """The names of the options of varlstm-tagger train, from its help."""
    try:
        with running([program, "train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            timer = threading.Timer(HELP_SECONDS, kill, (process,))
            timer.start()
            text = process.stdout.read(LIMIT).decode(errors="replace")
            timer.cancel()
    except OSError as error:
        raise SearchError(f"--program = {shown(program)}: cannot be run: {reason(error)}") from error
    names = set(re.findall(r"^\s+--([a-z][a-z0-9-]*)", text, re.MULTILINE))
    if not NEEDED <= names:
        raise SearchError(f"--program = {shown(program)}: prints no help of varlstm-tagger train")
    return names


def epoch_of(line):
    """A line of the log: {"epoch": its number, "dev": the accuracy, ...}."""
    try:
        epoch = json.loads(line)
        if 0 < int(epoch["epoch"]) < 2**31 and math.isfinite(epoch["dev"]):
            return epoch
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        pass
    text = shown(line.decode(errors="replace").rstrip("\n"))
    raise TrainingFailed(f"the program's log has a line that is no epoch: {text[:80]}")


class Log:
    """The epochs that the program has written to its log, as they appear."""

    def __init__(self, path):
        self.path = path
        self.read = 0

    def new_epochs(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.read)
                lines = file.read().splitlines(keepends=True)
        except FileNotFoundError:
            return
        for line in lines:
            if line.endswith(b"\n"):
                self.read += len(line)
                yield epoch_of(line)


def last_line(file):
    """Of what the program wrote to its standard error."""
    file.seek(max(file.seek(0, os.SEEK_END) - LIMIT, 0))
    lines = file.read().decode(errors="replace").strip().splitlines()
    return shown(lines[-1]) if lines else ""


def train(command, log_path, on_epoch, stopping):
    """Runs the program to its end and returns the best accuracy. on_epoch(number, best so far) may raise an exception,
    which ends the program; so does stopping.set(). Of a program that is far ahead only the latest epochs are told: a
    study takes some milliseconds for each, and other trials wait meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(log_path)
    log, best = Log(log_path), []

    def read_log():
        epochs = list(log.new_epochs())
        for k, epoch in enumerate(epochs):
            best[:] = [max([epoch["dev"], *best])]
            if k >= len(epochs) - LATEST:
                on_epoch(epoch["epoch"], best[0])

    with tempfile.TemporaryFile() as errors:
        with running([*command, "--log", log_path], stdout=subprocess.DEVNULL, stderr=errors) as process:
            while process.poll() is None:
                read_log()
                if stopping.wait(POLL_SECONDS):
                    raise Stopped
            read_log()
        if process.returncode != 0:
            raise TrainingFailed(last_line(errors) or f"the program ended with status {process.returncode}")
    if not best:
        raise TrainingFailed("the program ended without an epoch")
    return best[0]


def train_in_view(command, stopping):
    """Runs the program to its end, its output where that of the search is, and returns its status. After stopping.set()
    the program ends with the epochs that it has."""
    with running(command) as process:
        while process.poll() is None and not stopping.wait(POLL_SECONDS):
            pass
        kill(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    return process.returncode
