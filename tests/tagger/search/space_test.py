# tools/search/space.toml: it decides on every option of the tagger, and the tagger takes what is drawn from it.
# See case.py for the usage.
# SPDX-License-Identifier: Apache-2.0
import pathlib
import subprocess
import sys
import unittest

from case import DATA, PROGRAM, SEARCH, SearchCase
import space
import tagger

# What is no choice of a search, and what does not go with every other choice.
LEFT_OUT = {"backend", "column", "freeze-vectors", "keep-vectors", "optimizer", "patience", "preset", "projection", "seed",
            "vectors", "zoneout-c"}


def nth(entry, turn):
    """A value of an entry: one of its list, an end of its range, or the value itself."""
    if isinstance(entry, list):
        return entry[turn % len(entry)]
    return entry["int" if "int" in entry else "float"][turn % 2] if isinstance(entry, dict) else entry


class SpaceTest(SearchCase):
    def setUp(self):
        super().setUp()
        self.known = tagger.known_options(PROGRAM)
        self.entries = space.read_space(pathlib.Path(SEARCH) / "space.toml", self.known)

    def test_decides_on_every_option(self):
        self.assertEqual(self.known - set(space.SEARCHED_FOR) - set(self.entries), LEFT_OUT)

    def test_the_tagger_takes_every_choice(self):
        small = {"hidden": 4, "embedding": 4, "char-embedding": 3, "epochs": 1}
        for turn in range(max(len(entry) for entry in self.entries.values() if isinstance(entry, list))):
            for cell in self.entries["cell"]:
                options = {name: nth(entry, turn) for name, entry in self.entries.items()} | small | {"cell": cell}
                outcome = subprocess.run(
                    [PROGRAM, "train", "--train", f"{DATA}/dev.conllu", "--dev", f"{DATA}/dev.conllu", "--out",
                     str(self.folder / "model"), "--threads", "1", *space.arguments(options)],
                    capture_output=True, text=True, check=False, timeout=300)
                self.assertEqual(outcome.returncode, 0, f"{options}: {outcome.stderr}")


if __name__ == "__main__":
    unittest.main(argv=["space_test", *sys.argv[4:]], verbosity=2)
