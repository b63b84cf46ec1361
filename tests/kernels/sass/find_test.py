# SPDX-License-Identifier: Apache-2.0
"""Where tools/sass_check.py looks for a tool of CUDA: on PATH, then in the packages of each Python there."""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tools"))
import sass_check  # noqa: E402

TOOL = "a-tool-that-no-machine-has"


def program(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def expect(wanted):
    found = sass_check.find(TOOL)
    if found != wanted:
        sys.exit(f"find_test.py: found {found}, not {wanted}")


with tempfile.TemporaryDirectory() as folder:
    os.environ["PATH"] = os.pathsep.join([f"{folder}/first", f"{folder}/second"])
    expect(None)
    program(f"{folder}/first/python3", f"echo {folder}/without")
    program(f"{folder}/second/python3", f"echo; echo {folder}/site")
    expect(None)
    in_package = program(f"{folder}/site/nvidia/cu13/bin/{TOOL}", "")
    expect(in_package)
    on_path = program(f"{folder}/second/{TOOL}", "")
    expect(on_path)
