#!/usr/bin/env python3
"""What bench/plot.py says if it cannot draw: without matplotlib, of unknown options, without files.
SPDX-License-Identifier: Apache-2.0
"""
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PLOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "plot.py")


def last_line(*words, **environment):
    outcome = subprocess.run([sys.executable, PLOT, *words], capture_output=True, text=True, check=False, timeout=60,
                             env={**os.environ, **environment})
    return outcome.returncode, outcome.stderr.splitlines()[-1]


class PlotTest(unittest.TestCase):
    def test_without_matplotlib(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "matplotlib.py").write_text("raise ModuleNotFoundError()\n", encoding="utf-8")
            self.assertEqual(
                last_line("ours.json", PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1"),
                (1, "plot.py needs matplotlib: apt-get install python3-matplotlib, or pip install matplotlib"))

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed")
    def test_unknown_comes_before_missing(self):
        self.assertEqual(last_line("--no-such"), (2, "plot.py: error: unrecognized arguments: --no-such"))
        self.assertEqual(last_line("--out", "figures"), (2, "plot.py: error: no file is given"))


if __name__ == "__main__":
    unittest.main()
