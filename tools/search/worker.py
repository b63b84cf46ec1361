# Which process runs a trial, and whether that process is no more.
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import socket


def read(path):
    try:
        return pathlib.Path(path).read_text(encoding="latin-1").strip()
    except OSError:
        return ""


def start_of(process):
    """When a process began, in ticks since the machine's start; None if there is none, or only its status is left."""
    stat = read(f"/proc/{process}/stat")
    fields = stat[stat.rfind(")") + 1:].split()  # behind the name, which may have any character; the first is the state
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None


def space_of_processes():
    """What tells apart two processes of one number: the machine's start, and the container."""
    try:
        return f"{read('/proc/sys/kernel/random/boot_id')} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return ""


def identity(process=None):
    """What names a process for good. A number alone does not: a later process may have it too."""
    process = os.getpid() if process is None else process
    return {"host": socket.gethostname(), "process": process, "started": start_of(process), "space": space_of_processes()}


def is_gone(worker):
    """Whether that process is surely no more. Of other machines, and of an earlier start of this one, nothing is sure."""
    here = space_of_processes()
    if not isinstance(worker, dict) or not here or worker.get("space") != here:
        return False
    started = start_of(worker.get("process"))
    return started is None or started != worker.get("started")
