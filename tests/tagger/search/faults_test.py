# What the search says of bad input: one line that names the argument and its value. See case.py for the usage.
# SPDX-License-Identifier: Apache-2.0
import os
import sys
import unittest

from case import DATA, PROGRAM, SearchCase, optuna
import search
import space
import tagger
from fault import SearchError


class FaultsTest(SearchCase):
    def fault(self, *more):
        """The line of a search that is expected to end with one."""
        with self.assertRaises(SearchError) as caught:
            search.main(self.words(*more))
        text = str(caught.exception)
        self.assertTrue(text.isprintable(), text)
        return text

    def test_a_fault_is_one_line(self):
        self.expect_error("--trials = 0 is not between 1 and 1000000", "--trials", "0")
        self.assertFalse(self.out.exists())

    def test_numbers(self):
        for words, text in [
            (("--workers", "0"), "--workers = 0 is not between 1 and 256"),
            (("--workers", "100000"), "--workers = 100000 is not between 1 and 256"),
            (("--threads", "-1"), "--threads = -1 is not between 0 and 4096"),
            (("--seed", "-1"), "--seed = -1 is not between 0 and 4294967295"),
            (("--seed", str(2**32)), "--seed = 4294967296 is not between 0 and 4294967295"),
            (("--trials", "many"), "argument --trials: invalid int value: 'many' (--help lists the options)"),
            (("--pruner", "x"), "argument --pruner: invalid choice: 'x' (choose from "),
            (("--no-such",), "unrecognized arguments: --no-such (--help lists the options)"),
        ]:
            with self.subTest(words=words):
                self.assertTrue(self.fault(*words).startswith(text), self.fault(*words))

    def test_unknown_comes_before_missing(self):
        for words, text in [(["--no-such"], "unrecognized arguments: --no-such (--help lists the options)"),
                            (["--dev", "x"],
                             "the following arguments are required: --train, --out (--help lists the options)")]:
            with self.assertRaises(SearchError) as caught:
                search.main(words)
            self.assertEqual(str(caught.exception), text)

    def test_characters(self):
        for argument in ("--train", "--dev", "--out", "--program", "--space", "--storage"):
            self.assertEqual(self.fault(argument, "a\0b"), "the argument a\\x00b has a NUL character")
            self.assertEqual(self.fault(argument, "a\udcffb"), "the argument a\\udcffb is not UTF-8")

    def test_folder_of_results(self):
        file = self.folder / "file"
        file.touch()
        for path, text in [(file, "is a file, not a folder"), (f"{file}/below", "Not a directory"),
                           ("/proc/out", "No such file or directory"), ("/proc", "No such file or directory"),
                           (f"{self.folder}/{'x' * 300}", "File name too long")]:
            self.assertEqual(self.fault("--out", str(path)), f"--out = {path}: {text}")
        self.out.mkdir()
        (self.out / "study.db").mkdir()
        self.assertEqual(self.fault(),
                         f"--out = {self.out}/study.db: (sqlite3.OperationalError) unable to open database file")
        if os.geteuid() != 0:  # root may write anywhere
            self.out.chmod(0o500)
            self.assertEqual(self.fault(), f"--out = {self.out}: Permission denied")

    def test_data(self):
        for argument in ("--train", "--dev"):
            self.assertEqual(self.fault(argument, "/no"), f"{argument} = /no: No such file or directory")
            for path in (DATA, "/dev/null"):
                self.assertEqual(self.fault(argument, path),
                                 f"{argument} = {path}: is no plain file, which each trial could read")
        bad = self.folder / "bad.conllu"
        bad.write_text("1\tbad row\n", encoding="utf-8")
        self.assertEqual(self.fault("--dev", str(bad)), "the search ended: 3 trials have failed, the last one with: "
                         f"varlstm-tagger: {bad}:1: a row has 10 columns separated by tabs, this one has 2")

    def test_programs(self):
        text = self.folder / "text"
        text.write_text("no program", encoding="utf-8")
        self.assertEqual(self.fault("--program", "/no"),
                         "--program = /no: there is no such program; sh tools/quickstart.sh builds it")
        self.assertEqual(self.fault("--program", DATA), f"--program = {DATA}: is a folder")
        self.assertEqual(self.fault("--program", str(text)), f"--program = {text}: is not executable")
        text.chmod(0o755)
        self.assertEqual(self.fault("--program", str(text)), f"--program = {text}: cannot be run: Exec format error")
        for other in ("/bin/cat", "/bin/false", "/usr/bin/yes"):
            self.assertEqual(self.fault("--program", other), f"--program = {other}: prints no help of varlstm-tagger train")

    def test_programs_that_print_rubbish_or_die(self):
        for body, text in [
            ("echo rubbish > $log", "the program's log has a line that is no epoch: rubbish"),
            (r"printf '\377\000\n' > $log", "the program's log has a line that is no epoch: \ufffd\\x00"),
            ("""echo '{"epoch": 1, "dev": null}' > $log""",
             """the program's log has a line that is no epoch: {"epoch": 1, "dev": null}"""),
            ("""echo '{"epoch": 1e999, "dev": 1}' > $log""",
             """the program's log has a line that is no epoch: {"epoch": 1e999, "dev": 1}"""),
            ("""echo '{"epoch": 1, "dev": NaN}' > $log""",
             """the program's log has a line that is no epoch: {"epoch": 1, "dev": NaN}"""),
            ("exit 0", "the program ended without an epoch"),
            ("exit 3", "the program ended with status 3"),
            ("kill -SEGV $$", "the program ended with status -11"),
            ("head -c 300000 /dev/zero >&2; printf '\\nlast\\377\\n' >&2; exit 1", "last\ufffd"),
        ]:
            with self.subTest(body=body):
                arguments = search.options.parse(self.words("--program", self.fake(body)))
                one = search.Search(arguments, None, space.read_space(self.space, tagger.known_options(PROGRAM)))
                with self.assertRaises(tagger.TrainingFailed) as caught:
                    one.objective(optuna.trial.FixedTrial({"cell": "gru", "hidden": 4, "lr": 0.01}))
                self.assertEqual(str(caught.exception), text)

    def test_storages(self):
        corrupt, text = self.folder / "corrupt.db", self.folder / "text"
        corrupt.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
        text.write_text("no journal", encoding="utf-8")
        number = self.folder / "number"
        number.write_text("5\n", encoding="utf-8")
        opened = "(sqlite3.OperationalError) unable to open database file"
        for storage, expected in [
            ("", "Could not parse SQLAlchemy URL"),
            ("nothing", "Could not parse SQLAlchemy URL"),
            ("foo://x", "Can't load plugin: sqlalchemy.dialects:foo"),
            ("postgresql+pg8000://u@h:abc/x", "invalid literal for int() with base 10: 'abc'"),
            ("sqlite://", "a study in memory would end with the search"),
            ("sqlite:///:memory:", "a study in memory would end with the search"),
            (f"sqlite:///{self.folder}", opened),
            (f"sqlite:///{self.folder}/no/study.db", opened),
            ("sqlite:////proc/study.db", opened),
            (f"sqlite:///{corrupt}", "(sqlite3.DatabaseError) file is not a database"),
            ("journal:", "No such file or directory"),
            (f"journal:{self.folder}", "Is a directory"),
            (f"journal:{self.folder}/no/journal", "No such file or directory"),
            ("journal:/proc/journal", "No such file or directory"),
            (f"journal:{text}", "the file is no journal of Optuna"),
            (f"journal:{number}", "the file is no journal of Optuna"),
        ]:
            with self.subTest(storage=storage):
                line = self.fault("--storage", storage)
                self.assertTrue(line.startswith(f"--storage = {storage}: {expected}"), line)
        self.assertEqual(text.read_text(encoding="utf-8"), "no journal")
        secret = self.fault("--storage", "no_such_driver://user:secret@host/study")
        self.assertTrue(secret.startswith("--storage = no_such_driver://user:***@host/study: "), secret)

    def test_names_of_folders(self):
        """Characters that mean something in an URL, to SQLite or to Optuna."""
        for name in ("a b", "a?b=c", "50%20", "{SCHEMA_VERSION}{", "a#b:c@d", "ä"):
            self.out = self.folder / name
            arguments = search.options.parse(self.words())
            search.options.make_out(self.out)
            search.open_study(arguments, {"hidden": [1, 2]})
            self.assertEqual([path.name for path in self.out.iterdir()], ["study.db"])
        storage = f"sqlite:///{self.folder}/{{x}}.db"
        search.open_study(search.options.parse(self.words("--storage", storage)), {"hidden": [1, 2]})
        self.assertTrue((self.folder / "{x}.db").exists())

    def test_files_of_spaces(self):
        for content, text in [
            (b"", "there is no option in it"),
            (b"\xff = 1", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
            (b"hidden", "Expected '=' after a key in a key/value pair (at end of document)"),
            (b"hidden = " + b"[" * 10000, "maximum recursion depth exceeded"),
            (b"layers = 1", "every option has one value: there is nothing to search"),
            (b"hiden = [1, 2]", "varlstm-tagger train has no option --hiden"),
            (b'"a\\u0000" = [1, 2]', "varlstm-tagger train has no option --a\\x00"),
            (b"train = ['a', 'b']", "train is given on the command line of the search"),
            (b"hidden = " + b"1" * 5000, "Exceeds the limit (4300 digits) for integer string conversion"),
        ]:
            with self.subTest(content=content[:30]):
                self.space.write_bytes(content)
                line = self.fault()
                self.assertTrue(line.startswith(f"--space = {self.space}: {text}"), line)
        self.space = self.folder / "space.json"
        for content, text in [("[1, 2]", "there is no option in it"), ("[" * 100000, "maximum recursion depth exceeded"),
                              ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)")]:
            self.space.write_text(content, encoding="utf-8")
            line = self.fault()
            self.assertTrue(line.startswith(f"--space = {self.space}: {text}"), line)
        self.assertFalse(self.out.exists())
        self.assertEqual(self.fault("--space", "/no.toml"), "--space = /no.toml: No such file or directory")
        self.assertEqual(self.fault("--space", DATA), f"--space = {DATA}: Is a directory")

    def test_entries_of_spaces(self):
        ends = "has a low end that is not below its high end"
        step = "has a step that is not positive, is negligible, or is larger than the range"
        whole = "has an end or step that is no whole number"
        large = "has a number beyond 2^53"
        for entry, text in [
            ("hidden = []", "hidden = [] is a list without a value"),
            ("hidden = [8, 8]", "hidden = [8, 8] has a value twice"),
            ("hidden = [1, true]", "hidden = [1, true] has a value twice"),
            ("hidden = 2020-01-01", 'hidden = "2020-01-01" is no text, number, true or false'),
            ("hidden = [[1], [2]]", "hidden = [[1], [2]] is no text, number, true or false: [1]"),
            ("lr = [1e999, 1]", f"lr = [Infinity, 1] {large}: Infinity"),
            ("lr = nan", f"lr = NaN {large}"),
            ("seed = 9007199254740993", f"seed = 9007199254740993 {large}"),
            ('cell = ["a\\u0000b", "c"]', 'cell = ["a\\u0000b", "c"] has a NUL character: "a\\u0000b"'),
            ("hidden = {}", "hidden = {} is neither {int = [low, high]} nor {float = [low, high]}, with step or log"),
            ("lr = {uniform = [0, 1]}", 'lr = {"uniform": [0, 1]} is neither {int = [low, high]} nor {float = [low, '
             "high]}, with step or log"),
            ("lr = {float = [1]}", 'lr = {"float": [1]} has no two ends'),
            ("hidden = {int = [8, 4]}", f'hidden = {{"int": [8, 4]}} {ends}'),
            ("hidden = {int = [8, 8]}", f'hidden = {{"int": [8, 8]}} {ends}'),
            ("hidden = {int = [8.5, 9]}", f'hidden = {{"int": [8.5, 9]}} {whole}'),
            ("hidden = {int = [false, true]}", f'hidden = {{"int": [false, true]}} {whole}'),
            ("hidden = {int = [1, 9], step = 1.5}", f'hidden = {{"int": [1, 9], "step": 1.5}} {whole}'),
            ("hidden = {int = [1, 9], step = 0}", f'hidden = {{"int": [1, 9], "step": 0}} {step}'),
            ("hidden = {int = [1, 9], step = -1}", f'hidden = {{"int": [1, 9], "step": -1}} {step}'),
            ("hidden = {int = [1, 9], step = 9}", f'hidden = {{"int": [1, 9], "step": 9}} {step}'),
            (f"hidden = {{int = [1, {10**400}]}}", f'hidden = {{"int": [1, {10**100}'[:100]),
            ("lr = {float = [0, 1], step = 1e-300}", f'lr = {{"float": [0, 1], "step": 1e-300}} {step}'),
            ("lr = {float = [0, 1], step = inf}", f'lr = {{"float": [0, 1], "step": Infinity}} {large}'),
            ("lr = {float = [-1e308, 1e308]}", f'lr = {{"float": [-1e+308, 1e+308]}} {large}'),
            ("lr = {float = [0, nan]}", f'lr = {{"float": [0, NaN]}} {large}'),
            ("lr = {float = [0, 2020-01-01]}", 'lr = {"float": [0, "2020-01-01"]} has an end or step that is no number'),
            ("lr = {float = [0, 1], log = true}", 'lr = {"float": [0, 1], "log": true} has a low end that has no logarithm'),
            ("lr = {float = [1, 2], log = 1}", 'lr = {"float": [1, 2], "log": 1} has a log that is neither true nor false'),
            ("lr = {float = [1, 2], log = true, step = 1}",
             'lr = {"float": [1, 2], "log": true, "step": 1} has a step beside log'),
        ]:
            with self.subTest(entry=entry[:60]):
                self.space.write_text(entry, encoding="utf-8")
                line = self.fault()
                self.assertTrue(line.startswith(f"--space = {self.space}: {text}"), line)
                self.assertLess(len(line), 400)
        self.space = self.folder / "space.json"
        self.space.write_text('{"cell": ["\\ud800", "gru"]}', encoding="utf-8")
        self.assertEqual(self.fault(), f'--space = {self.space}: cell = ["\\ud800", "gru"] is not UTF-8: "\\ud800"')


if __name__ == "__main__":
    unittest.main(argv=["faults_test", *sys.argv[4:]], verbosity=2)
