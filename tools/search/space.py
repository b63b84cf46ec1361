# The space of a search: which options of varlstm-tagger train vary, and how. TOML or JSON:
#
#   cell = ["lstm", "gru"]                          one of a list
#   hidden = {int = [64, 256], step = 32}           a whole number from low to high; step is optional
#   lr = {float = [5e-4, 1e-2], log = true}         a number, here drawn by its logarithm
#   layer-norm = [true, false]                      a flag of the program: given or not
#   epochs = 5                                      always this
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import tomllib

from fault import SearchError, reason, shown, text_fault

SEARCHED_FOR = ("train", "dev", "out", "log", "threads", "help")  # the search gives these itself
MOST = 2**53  # Optuna computes in doubles
SHOWN = 100  # characters of an entry in a message


def read_space(path, known_options):
    """Returns the space of a file as a dict. known_options: the names of the program's options, without dashes."""
    path = pathlib.Path(path)

    def fail(fault):
        raise SearchError(f"--space = {shown(path)}: {fault}")

    try:
        text = path.read_bytes().decode()
        space = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        fail(reason(error))
    except (ValueError, RecursionError) as error:
        fail(reason(error))
    if not isinstance(space, dict) or not space:
        fail("there is no option in it")
    for name, entry in space.items():
        if name in SEARCHED_FOR:
            fail(f"{name} is given on the command line of the search")
        if name not in known_options:
            fail(f"varlstm-tagger train has no option --{shown(name)}")
        if fault := entry_fault(entry):
            fail(f"{name} = {entry_text(entry)} {fault}")
    if all(is_fixed(entry) for entry in space.values()):
        fail("every option has one value: there is nothing to search")
    return space


def entry_text(entry):
    try:
        text = shown(json.dumps(entry, default=str, ensure_ascii=False))
    except RecursionError:
        return "..."
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def is_fixed(entry):
    return not isinstance(entry, (list, dict))


def value_fault(value):
    """Why this is no value of an option; empty if it is one."""
    if isinstance(value, str):
        return text_fault(value)
    if isinstance(value, (bool, int, float)):
        return "" if abs(value) <= MOST else "has a number beyond 2^53"  # nan too
    return "is no text, number, true or false"


def number_fault(value, whole):
    """Why this is no end or step of a range."""
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return f"has an end or step that is no {'whole ' if whole else ''}number"
    return value_fault(value)


def entry_fault(entry):
    """Why an entry of a space is none; empty if it is one."""
    if is_fixed(entry):
        return value_fault(entry)
    if isinstance(entry, dict):
        return range_fault(entry)
    if not entry:
        return "is a list without a value"
    for value in entry:
        if fault := value_fault(value):
            return f"{fault}: {entry_text(value)}"
    # 1, 1.0 and true are equal, and Optuna could not tell them apart either.
    twice = any(value == other for k, value in enumerate(entry) for other in entry[:k])
    return "has a value twice" if twice else ""


def range_fault(entry):
    kind = "int" if "int" in entry else "float"
    if set(entry) - {kind, "step", "log"} or kind not in entry:
        return "is neither {int = [low, high]} nor {float = [low, high]}, with step or log"
    ends, log, steps = entry[kind], entry.get("log", False), [entry["step"]] if "step" in entry else []
    if not (isinstance(ends, list) and len(ends) == 2):
        return "has no two ends"
    if not isinstance(log, bool):
        return "has a log that is neither true nor false"
    for number in ends + steps:
        if fault := number_fault(number, kind == "int"):
            return fault
    low, high = ends
    if low >= high:
        return "has a low end that is not below its high end"
    if log and low <= 0:
        return "has a low end that has no logarithm"
    if steps and log:
        return "has a step beside log"
    if steps and not (high - low) / MOST < steps[0] <= high - low:
        return "has a step that is not positive, is negligible, or is larger than the range"
    return ""


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
