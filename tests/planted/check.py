# SPDX-License-Identifier: Apache-2.0
"""Checks that the entries of the lists still fit the tree and its tests."""
import os
import subprocess

from command import entries_of, split
from tree import CHECKOUT, fault_of_change


def check(defects, folder):
    """Prints what no longer fits; 0 if everything does."""
    entries = entries_of(folder)
    findings, listed = [], {}
    for area, defect in defects:
        for path, old, new in defect.changes():
            findings += [(area, defect, fault) for fault in [fault_of_change(CHECKOUT, path, old, new)] if fault]
        for test in defect.tests:
            if test not in listed:
                listed[test] = fault_of_test(split(test), entries)
            if listed[test]:
                findings.append((area, defect, f"{test}: {listed[test]}"))
    for area, defect, fault in findings:
        print(f"{area}.py: {defect.name}: {fault}")
    print(f"{len(defects)} defects, {len(listed)} tests, {len(findings)} findings")
    return 1 if findings else 0


def fault_of_test(test, entries):
    """Why this test cannot be run, or "" if it can."""
    entry = entries.get(test.entry)
    if entry is None:
        # A build without Python's packages or without the tagger lacks some.
        return "" if source_of(test.entry) else f"ctest has no entry {test.entry}, and no file tests it"
    if not entry.command:
        return f"{test.entry} is not built"
    scripts = [word for word in entry.command if word.endswith("_test.py")]
    if scripts:
        return fault_of_keyword(test.options, scripts[0])
    filters = [option for option in test.options if option.startswith("--gtest_filter=")]
    if not filters:
        return ""
    # The program's own list: a renamed test would be passed over without a word.
    listing = subprocess.run([entry.command[0], "--gtest_list_tests", filters[-1]], capture_output=True, text=True,
                             check=False, timeout=60, env={**os.environ, **entry.environment})
    if listing.returncode != 0:
        return f"{entry.command[0]} --gtest_list_tests ended with status {listing.returncode}"
    return "" if "\n  " in listing.stdout else "no test matches its filter"


def source_of(entry):
    """Whether tests/ has a file of that entry's name."""
    words = entry.split(".")
    wanted = {f"{words[0]}.cc", f"{words[0].removeprefix('simt_')}.cc"}
    wanted.add(f"{words[1]}_test.py" if words[0] == "python" and len(words) > 1 else words[0] + ".sh")
    return any(wanted & set(names) for _, _, names in os.walk(os.path.join(CHECKOUT, "tests")))


def fault_of_keyword(options, script):
    """Whether the words that pytest is to look for stand in the script; to ask pytest would start torch each time."""
    with open(script, encoding="utf-8") as file:
        text = file.read()
    for option, value in zip(options, options[1:]):
        if option == "-k":
            missing = [word for word in value.split() if word not in ("and", "or", "not") and word not in text]
            if missing:
                return f"{os.path.basename(script)} has no test {missing[0]}"
    return ""
