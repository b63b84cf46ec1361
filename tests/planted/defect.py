# SPDX-License-Identifier: Apache-2.0
"""One planted defect: a small change of one file that a test has to notice."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Defect:
    """A defect that plant.py puts into a copy of the tree, to see whether the tests notice it.

    name       unique in its list, made of small letters, digits and dashes
    file       path from the root of the repository
    old        text that stands there exactly once, and that the defect replaces
    new        what stands there instead
    tests      commands of which at least one must fail: the name of a ctest entry and options that are added to its
               command, e.g. "lstm_test.cuda --gtest_filter=Lstm.Reserve*" or "python.torch_lstm -k seed"; words NAME=value
               before the name are environment variables
    why        what goes wrong for a user, where the change does not say it
    also       further changes of the same defect: (file, old, new), ...
    no_defect  why this change does no harm that a test could see: it may survive, and must
    """

    name: str
    file: str
    old: str
    new: str
    tests: list
    why: str = ""
    also: tuple = ()
    no_defect: str = ""

    def changes(self):
        """All (file, old, new) of this defect."""
        return ((self.file, self.old, self.new), *self.also)
