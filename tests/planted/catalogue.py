# SPDX-License-Identifier: Apache-2.0
"""Reads the lists of defects."""
import os
import re
import runpy

from defect import Defect

AREAS = ("host", "capi", "kernels", "tagger", "python", "simt", "runtime")


class Mistake(Exception):
    """Something the caller or a list got wrong; its text says what."""


def load(folder):
    """All (area, defect), in the order of AREAS and of their lists."""
    defects, names = [], set()
    for area in AREAS:
        for defect in runpy.run_path(os.path.join(folder, area + ".py"))["DEFECTS"]:
            if not isinstance(defect, Defect):
                raise Mistake(f"{area}.py: {defect!r} is not a Defect")
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", defect.name):
                raise Mistake(f"{area}.py: the name {defect.name!r} has more than small letters, digits and dashes")
            if defect.name in names:
                raise Mistake(f"{area}.py: there are two defects of the name {defect.name}")
            if not defect.tests or isinstance(defect.tests, str):
                raise Mistake(f"{area}.py: {defect.name} needs a list of tests")
            names.add(defect.name)
            defects.append((area, defect))
    return defects
