# What a study has found: a table, trials.csv, and plots as PNG and HTML.
# SPDX-License-Identifier: Apache-2.0
import csv

import optuna

from fault import reason

SHOWN = 10


def value_text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def finished(study):
    """The trials that have a value, the best first."""
    complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: (-trial.value, trial.number))


def counts_text(study):
    counts = {state: 0 for state in optuna.trial.TrialState}
    for trial in study.trials:
        counts[trial.state] += 1
    return ", ".join(f"{count} {state.name.lower()}" for state, count in counts.items() if count > 0)


def table(study):
    """The best trials, a line each."""
    rows = [["trial", "dev", "epochs", "seconds", "options"]]
    for trial in finished(study)[:SHOWN]:
        options = " ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
        rows.append([str(trial.number), f"{trial.value:.4f}", str(trial.user_attrs.get("epochs", "")),
                     f"{trial.duration.total_seconds():.1f}", options])
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join([cell.rjust(width) for cell, width in zip(row, widths)] + [row[4]]) for row in rows]
    return "\n".join(lines) + "\n"


def write_csv(study, path):
    names = sorted({name for trial in study.trials for name in trial.params})
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["trial", "state", "dev", "epochs", "error", *names])
        for trial in study.trials:
            out.writerow([trial.number, trial.state.name.lower(), trial.value, trial.user_attrs.get("epochs"),
                          trial.user_attrs.get("error"), *(trial.params.get(name) for name in names)])


def write_plots(study, folder):
    """history, importance and parallel as .png (matplotlib) and .html (plotly). Yields for each why it could not be made,
    else an empty text."""
    kinds = {"history": "plot_optimization_history", "importance": "plot_param_importances",
             "parallel": "plot_parallel_coordinate"}

    def png(function, path):
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
        getattr(optuna.visualization.matplotlib, function)(study)
        pyplot.tight_layout()
        pyplot.savefig(path, dpi=150)
        pyplot.close("all")

    def html(function, path):
        getattr(optuna.visualization, function)(study).write_html(path)

    for name, function in kinds.items():
        for suffix, write in (("png", png), ("html", html)):
            try:
                write(function, str(folder / f"{name}.{suffix}"))
                yield ""
            except Exception as error:  # of the drawing packages; the search has its result without a plot
                yield f"{name}.{suffix} could not be drawn: {reason(error)}"
