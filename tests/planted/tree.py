# SPDX-License-Identifier: Apache-2.0
"""The copy of the tree in which defects are planted."""
import contextlib
import fcntl
import filecmp
import os
import shutil
import subprocess
import tempfile

from catalogue import Mistake

LISTS = os.path.dirname(os.path.abspath(__file__))
CHECKOUT = os.path.dirname(os.path.dirname(LISTS))


def files_of_checkout():
    """Paths from the root of every file that git knows or does not ignore."""
    listing = subprocess.run(["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True, check=False)
    if listing.returncode != 0:
        raise Mistake(f"git ls-files in {CHECKOUT}: {listing.stderr.decode().strip()}")
    paths = sorted({os.fsdecode(path) for path in listing.stdout.split(b"\0") if path})
    return [path for path in paths if os.path.isfile(os.path.join(CHECKOUT, path))]


def synchronize(source):
    """Makes `source` a copy of the checkout. What is equal already stays as it is, so that nothing is built again."""
    wanted = set(files_of_checkout())
    for path in sorted(wanted):
        original, copy = os.path.join(CHECKOUT, path), os.path.join(source, path)
        if not os.path.exists(copy) or not filecmp.cmp(original, copy, shallow=False):
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(original, copy)
    for folder, subfolders, names in os.walk(source):
        subfolders[:] = [name for name in subfolders if not (folder == source and name.startswith("build"))]
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, source) not in wanted:
                os.remove(path)


@contextlib.contextmanager
def scratch(work):
    """A folder that holds a copy of the checkout: <work>/tree, or one that is removed at the end where work is None."""
    folder = os.path.abspath(work) if work else tempfile.mkdtemp(prefix="varlstm-planted-")
    inside = os.path.commonpath([folder, CHECKOUT]) == CHECKOUT
    if inside:
        raise Mistake(f"--work {work}: the folder may not lie inside the checkout")
    os.makedirs(folder, exist_ok=True)
    try:
        with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Mistake(f"--work {work}: another run uses this folder") from None
            source = os.path.join(folder, "tree")
            os.makedirs(source, exist_ok=True)
            synchronize(source)
            yield source
    finally:
        if not work:
            shutil.rmtree(folder, ignore_errors=True)


def read(root, path):
    """The text of a file, its line ends as they are."""
    with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
        return file.read()


def write(root, path, text):
    with open(os.path.join(root, path), "w", encoding="utf-8", newline="") as file:
        file.write(text)


def fault_of_change(root, path, old, new):
    """Why this change cannot be made in the tree at `root`, or "" if it can."""
    if not os.path.isfile(os.path.join(root, path)):
        return f"{path} is not there"
    count = read(root, path).count(old) if old else 0
    if count != 1:
        return f"the old text stands {count} times in {path}, and not once: {old.strip()!r}"
    if old == new:
        return f"the new text in {path} is the old one: {old.strip()!r}"
    return ""


@contextlib.contextmanager
def planted(root, defect):
    """Makes the defect's changes, and undoes them at the end."""
    before = {path: read(root, path) for path, _, _ in defect.changes()}
    try:
        for path, old, new in defect.changes():
            fault = fault_of_change(root, path, old, new)
            if fault:
                raise Mistake(f"{defect.name}: {fault}")
            write(root, path, read(root, path).replace(old, new))
        yield
    finally:
        for path, text in before.items():
            write(root, path, text)
