# One run of varlstm-tagger train as a process: its options, its log while it runs, its end.
# SPDX-License-Identifier: Apache-2.0
import ctypes
import json
import os
import re
import signal
import subprocess
import time

POLL_SECONDS = 0.1


class TrainingFailed(Exception):
    """The program ended with an error; the text is its last line."""


class Stopped(Exception):
    """The search is to end."""


def known_options(program):
    """The names of the options of varlstm-tagger train, from its help."""
    text = subprocess.run([program, "train", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s+--([a-z][a-z0-9-]*)", text, re.MULTILINE))


def die_with_parent():
    """Lets the kernel end this process with the search, even if that is killed (Linux)."""
    try:
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


class Log:
    """The lines that the program has written to its log so far, each a JSON object for an epoch."""

    def __init__(self, path):
        self.path = path
        self.read = 0

    def new_epochs(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="utf-8") as file:
            file.seek(self.read)
            text = file.read()
        whole = text[:text.rfind("\n") + 1]
        self.read += len(whole.encode())
        return [json.loads(line) for line in whole.splitlines()]


def train(command, log_path, on_epoch, stopping):
    """Runs the program to its end. on_epoch(epoch) gets each line of the log as it appears and may raise an exception,
    which ends the program; so does stopping.set()."""
    if os.path.exists(log_path):
        os.remove(log_path)
    log = Log(log_path)
    with subprocess.Popen([*command, "--log", log_path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          start_new_session=True, preexec_fn=die_with_parent) as process:
        try:
            while process.poll() is None:
                if stopping.is_set():
                    raise Stopped
                for epoch in log.new_epochs():
                    on_epoch(epoch)
                time.sleep(POLL_SECONDS)
            for epoch in log.new_epochs():
                on_epoch(epoch)
        except BaseException:
            process.kill()
            raise
        errors = process.stderr.read()
        if process.returncode != 0:
            lines = errors.strip().splitlines() or [f"the program ended with status {process.returncode}"]
            raise TrainingFailed(lines[-1])
