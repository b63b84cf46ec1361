"""Processes of torch.distributed for the tests, none of which may wait forever."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import faulthandler
import os
import pathlib
import signal
import subprocess
import sys
from typing import Callable

import torch

SECONDS = 100  # for processes that need 5 to 15
ENVIRONMENT = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}

# Processes of torch 1.13 now and then wait for each other forever as they end, if the machine is busy.
TRIES = 3 if int(torch.__version__.split(".")[0]) < 2 else 1


def watched(rank: int, work: Callable, *arguments) -> None:
    """work(rank, *arguments). After SECONDS it prints where its threads wait, and ends its process with status 1."""
    os.environ.update(ENVIRONMENT)
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    work(rank, *arguments)
    faulthandler.cancel_dump_traceback_later()


def run_two(work: Callable, folder: pathlib.Path) -> pathlib.Path:
    """work(rank, FOLDER) in two processes, in a new folder below `folder`, which is returned."""
    for left in reversed(range(TRIES)):
        attempt = folder / str(left)
        attempt.mkdir()
        try:
            torch.multiprocessing.spawn(watched, (work, str(attempt)), nprocs=2)
            return attempt
        except torch.multiprocessing.ProcessExitedException:
            if not left:
                raise
    raise AssertionError("unreachable")


def run_program(*arguments: str) -> str:
    """What a Python program printed whose processes are its children."""
    for left in reversed(range(TRIES)):
        with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT,
                              start_new_session=True) as program:
            try:
                output, _ = program.communicate(timeout=SECONDS)
                assert program.returncode == 0
                return output
            except subprocess.TimeoutExpired:
                if not left:
                    raise
            finally:
                try:
                    os.killpg(program.pid, signal.SIGKILL)  # with the children of a program that was given up
                except ProcessLookupError:
                    pass
    raise AssertionError("unreachable")
