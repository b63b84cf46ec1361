# Searches options of varlstm-tagger train with Optuna: several runs at once, the hopeless ones ended early, everything
# kept in a study that can be gone on with. «python3 search.py --help» lists the options, tools/README.md tells how.
# SPDX-License-Identifier: Apache-2.0
import json
import shlex
import signal
import sys
import threading
import warnings

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the search runs, Ctrl-C ends it at once

try:
    import optuna
except ImportError:
    print("search.py needs Optuna: pip install -r tools/search/requirements.txt", file=sys.stderr)
    sys.exit(2)

import options
import report
import space as spaces
import tagger
from fault import SearchError, reason, shown
from study import as_it_is_now, open_study
from trials import Search

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_at_signals(search):
    """The first ends the search, the second this process."""
    def stop(number, _):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        search.stop(number)

    for each in SIGNALS:
        signal.signal(each, stop)


def write_best(search, best):
    """best.json, which has the command that makes the best model. Returns that command."""
    values = spaces.suggest(optuna.trial.FixedTrial(best.params), search.space)
    command = search.command(values, search.args.out / "model")
    (search.args.out / "best.json").write_text(
        json.dumps({"trial": best.number, "dev": best.value, "options": values, "command": shlex.join(command)},
                   indent=1) + "\n", encoding="utf-8")
    return command


def finish(search):
    """Table, plots, and the best model trained again. Returns the exit status."""
    args, study = search.args, as_it_is_now(search.study)
    print(f"\n{report.counts_text(study)}")
    report.write_csv(study, args.out / "trials.csv")
    best = report.finished(study)
    if best:
        print(report.table(study), end="", flush=True)
        command = write_best(search, best[0])
    if search.fault:
        raise SearchError(f"the search ended: {search.fault}")
    if search.signal:
        print("the search was ended: --resume goes on with it", file=sys.stderr)
        return 128 + search.signal
    if not best:
        raise SearchError("no trial has ended with an accuracy")
    for problem in report.write_plots(study, args.out):
        if problem:
            print(problem, file=sys.stderr)
        if search.signal:
            return 128 + search.signal
    print(f"the best once more: {shlex.join(command)}", flush=True)
    status = tagger.train_in_view(command, search.stopping)
    return 128 + search.signal if search.signal else status


def main(words):
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.filterwarnings("ignore")
    threading.excepthook = lambda fault: print(f"search.py: {reason(fault.exc_value)}", file=sys.stderr)
    sys.stdout.reconfigure(errors="backslashreplace")
    args = options.parse(words)
    space = spaces.read_space(args.space, tagger.known_options(args.program))
    options.make_out(args.out)
    study = open_study(args, space)
    search = Search(args, study, space)
    stop_at_signals(search)
    search.run()
    return finish(search)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SearchError as fault:
        print(f"search.py: {fault}", file=sys.stderr)
    except OSError as fault:  # of the folder of the results, or of standard output
        where = f"{shown(fault.filename)}: " if fault.filename else ""
        print(f"search.py: {where}{reason(fault)}", file=sys.stderr)
    sys.exit(2)
