# The command line of the search, and what is wrong with it.
# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import pathlib
import shutil
import stat
import tempfile

from fault import SearchError, reason, shown, text_fault

HERE = pathlib.Path(__file__).resolve().parent
BOUNDS = {"trials": (1, 10**6), "workers": (1, 256), "threads": (0, 4096), "seed": (0, 2**32 - 1)}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise SearchError(f"{shown(message)} (--help lists the options)")


def parse(words):
    for word in words:
        if text_fault(word):
            raise SearchError(f"the argument {shown(word)} {text_fault(word)}")
    parser = Parser(prog="search.py", description="Search for good options of varlstm-tagger train.",
                    formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--train", nargs="+", help="CoNLL-U files to learn from", default=argparse.SUPPRESS)
    parser.add_argument("--dev", help="CoNLL-U file whose accuracy is to be as high as possible", default=argparse.SUPPRESS)
    parser.add_argument("--out", type=pathlib.Path, help="folder for the study, the plots and the model",
                        default=argparse.SUPPRESS)
    parser.add_argument("--space", type=pathlib.Path, default=HERE / "space.toml", help="TOML or JSON file, see space.py")
    parser.add_argument("--trials", type=int, default=20, help="trials of the study, with those of an earlier run")
    parser.add_argument("--workers", type=int, default=1, help="trials at once, which share the cores")
    parser.add_argument("--threads", type=int, default=0, help="cores to use; 0: all")
    parser.add_argument("--sampler", choices=("tpe", "random"), default="tpe")
    parser.add_argument("--pruner", choices=("median", "halving", "none"), default="median",
                        help="ends trials whose accuracy stays behind")
    parser.add_argument("--seed", type=int, default=1, help="of the sampler")
    parser.add_argument("--storage", help="where the study is: an URL of a database (default: OUT/study.db), or "
                        "journal:FILE; several machines may share one")
    parser.add_argument("--resume", action="store_true", help="go on with the study that is there, or share it")
    parser.add_argument("--program", default=shutil.which("varlstm-tagger") or HERE.parents[1] / "build/bin/varlstm-tagger",
                        help="the tagger")
    args = parser.parse_args(words)
    # Not by required=True, which would be seen before options that are not known: the missing one may be there, misspelt.
    missing = [f"--{name}" for name in ("train", "dev", "out") if not hasattr(args, name)]
    if missing:
        parser.error("the following arguments are required: " + ", ".join(missing))
    for name, (least, most) in BOUNDS.items():
        value = getattr(args, name)
        if not least <= value <= most:
            raise SearchError(f"--{name} = {value} is not between {least} and {most}")
    args.program = find_program(str(args.program))
    for path in args.train:
        check_data("train", path)
    check_data("dev", args.dev)
    return args


def find_program(program):
    """The program as a path or a name of PATH."""
    found = shutil.which(program)
    if found is not None:
        return found
    if not os.path.exists(program):
        raise SearchError(f"--program = {shown(program)}: there is no such program; sh tools/quickstart.sh builds it")
    raise SearchError(f"--program = {shown(program)}: is {'a folder' if os.path.isdir(program) else 'not executable'}")


def check_data(name, path):
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise SearchError(f"--{name} = {shown(path)}: is no plain file, which each trial could read")
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:
        raise SearchError(f"--{name} = {shown(path)}: {reason(error)}") from error


def make_out(folder):
    """Makes the folder of the results, and sees whether a file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise SearchError(f"--out = {shown(folder)}: is a file, not a folder") from error
    except (OSError, ValueError) as error:
        raise SearchError(f"--out = {shown(folder)}: {reason(error)}") from error
