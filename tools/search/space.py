# The space of a search: which options of varlstm-tagger train vary, and how. TOML or JSON:
#
#   cell = ["lstm", "gru"]                          one of a list
#   hidden = {int = [64, 256], step = 32}           a whole number, both ends included
#   lr = {float = [5e-4, 1e-2], log = true}         a number, here drawn by its logarithm
#   layer-norm = [true, false]                      a flag of the program: given or not
#   epochs = 5                                      always this
# SPDX-License-Identifier: Apache-2.0
import json
import math
import pathlib
import tomllib

SEARCHED_FOR = ("train", "dev", "out", "log", "threads", "help")  # the search gives these itself


class SpaceError(Exception):
    """A space that cannot be searched; the text names the entry and its value."""


def read_space(path, known_options):
    """Returns the space of a file as a dict. known_options: the names of the program's options, without dashes."""
    path = pathlib.Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SpaceError(f"cannot read {path}: {error.strerror}") from error
    try:
        space = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise SpaceError(f"{path}: {error}") from error
    if not isinstance(space, dict) or not space:
        raise SpaceError(f"{path}: there is no option in it")
    for name, entry in space.items():
        if name in SEARCHED_FOR:
            raise SpaceError(f"{path}: {name} is given on the command line of the search")
        if name not in known_options:
            raise SpaceError(f"{path}: varlstm-tagger train has no option --{name}")
        fault = entry_fault(entry)
        if fault:
            raise SpaceError(f"{path}: {name} = {json.dumps(entry)} {fault}")
    if all(is_fixed(entry) for entry in space.values()):
        raise SpaceError(f"{path}: every option has one value: there is nothing to search")
    return space


def is_fixed(entry):
    return not isinstance(entry, (list, dict))


def is_value(value):
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def entry_fault(entry):
    """Why an entry of a space is none; empty if it is one."""
    if is_fixed(entry):
        return "" if is_value(entry) else "is no text, number, true or false"
    if isinstance(entry, list):
        if not entry or not all(is_value(value) for value in entry):
            return "is no list of texts, numbers, true and false"
        # 1, 1.0 and true are equal, and Optuna could not tell them apart either.
        twice = any(value == other for k, value in enumerate(entry) for other in entry[:k])
        return "has a value twice" if twice else ""
    kind = "int" if "int" in entry else "float"
    if set(entry) - {kind, "step", "log"} or kind not in entry:
        return "is neither {int = [low, high]} nor {float = [low, high]}, with step or log"
    number = int if kind == "int" else (int, float)
    ends = entry[kind]
    if not (isinstance(ends, list) and len(ends) == 2
            and all(isinstance(end, number) and not isinstance(end, bool) and math.isfinite(end) for end in ends)):
        return f"has no two {'whole numbers' if kind == 'int' else 'numbers'} as its ends"
    log, step = entry.get("log", False), entry.get("step")
    if not isinstance(log, bool):
        return "has a log that is neither true nor false"
    if ends[0] >= ends[1]:
        return "has a low end that is not below its high end"
    if step is not None and (log or not isinstance(step, number) or isinstance(step, bool) or not step > 0):
        return "has a step that is not positive, or beside log"
    return "has a low end that has no logarithm" if log and ends[0] <= 0 else ""


def suggest(trial, space):
    """The options of a trial: what the space fixes, and what the sampler draws."""
    options = {}
    for name, entry in space.items():
        if is_fixed(entry):
            options[name] = entry
        elif isinstance(entry, list):
            options[name] = trial.suggest_categorical(name, entry)
        elif "int" in entry:
            options[name] = trial.suggest_int(name, *entry["int"], step=entry.get("step", 1), log=entry.get("log", False))
        else:
            options[name] = trial.suggest_float(name, *entry["float"], step=entry.get("step"),
                                                log=entry.get("log", False))
    return options


def arguments(options):
    """Options as words of a command line. true is a flag, false is nothing."""
    words = []
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif value is not False:
            words += [f"--{name}", f"{value:.9g}" if isinstance(value, float) else str(value)]
    return words
