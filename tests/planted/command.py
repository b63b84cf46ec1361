# SPDX-License-Identifier: Apache-2.0
"""What a defect's test says, and the command of ctest behind it."""
import collections
import json
import os
import re
import shlex
import subprocess

from catalogue import Mistake

# environment: {name: value}, entry: name of a ctest entry, options: added to its command.
Test = collections.namedtuple("Test", "environment entry options")
# command: words, environment: {name: value}, folder: where it runs.
Entry = collections.namedtuple("Entry", "command environment folder")


def split(test):
    """The parts of a test in an entry's list."""
    words = shlex.split(test)
    environment = {}
    while words and re.match(r"[A-Z_][A-Z0-9_]*=", words[0]):
        name, value = words.pop(0).split("=", 1)
        environment[name] = value
    if not words:
        raise Mistake(f"the test {test!r} names no ctest entry")
    return Test(environment, words[0], words[1:])


def entries_of(folder):
    """{name: Entry} of all that ctest runs in a build folder. A program that is not built has no command. Where an entry
    runs several files of tests in Python, each is an entry of its own here: python.<name> of <name>_test.py."""
    listing = subprocess.run(["ctest", "--test-dir", folder, "--show-only=json-v1"], capture_output=True, text=True,
                             check=False)
    if listing.returncode != 0:
        raise Mistake(f"ctest --test-dir {folder}: {listing.stderr.strip()}")
    entries = {}
    for test in json.loads(listing.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        environment = dict(line.split("=", 1) for line in properties.get("ENVIRONMENT", []))
        command, place = test.get("command", []), properties.get("WORKING_DIRECTORY", folder)
        entries[test["name"]] = Entry(command, environment, place)
        files = [word for word in command if word.endswith("_test.py")]
        for file in files if len(files) > 1 else []:
            alone = [word for word in command if word == file or word not in files]
            entries["python." + os.path.basename(file).removesuffix("_test.py")] = Entry(alone, environment, place)
    return entries


def without_tests(output):
    """Whether what a program printed says that its filter matched no test."""
    return re.search(r"^\[==========\] Running 0 tests|^(no tests ran|\d+ deselected) in ", output, re.MULTILINE) is not None
