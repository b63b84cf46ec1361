#!/usr/bin/env python3
"""Tables of step times on a GPU: modelled, not measured on a GPU.

    python3 bench/model.py [--exchange exchange.json] [--json floors.json]
    python3 bench/model.py [--exchange exchange.json] --counts counts.json --out bench/results/modelled [--clocks FILE]

The first prints the floors of a step (floors.py) in Markdown, and writes every term behind them as JSON. The second
writes DIR/h200.md and DIR/h200.json (measured_exchange.* with --exchange): steps of the library's own tiles from what
count_recurrence counted in the emulator and static_cycles in the machine code (counted_steps.py), and training steps on
lengths that differ (modelled_training.py), beside the floors. An h200.json is also a counts.json: its counts, with the
present table of the machine code. --exchange puts what exchange_bench measured on a GPU in the place of constants.
--clocks writes the steps from which the library chooses policies and tiles: kernels/selection/step_clocks.h.

SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import os

import counted_steps
import floors
import modelled_training
import page
import selection_clocks
import stepwise_steps
import streamed_steps
import wide_steps
from static_cycles import bounds

NOT_MEASURED = "modelled, not measured on a GPU"


def source_of(exchange):
    return "exchanges as measured, the rest modelled" if exchange else NOT_MEASURED


def table_of_floors(cases, exchange):
    """A line for each mode, H and dtype; cluster · grid / grid with a barrier · stepwise in microseconds."""
    by_key = {(c["policy"], c["mode"], c["dtype"], c["H"], c["B"]): c["step"] for c in cases}

    def cell(*where):
        texts = [f'{step["us"]:.2f}' if step else "—"
                 for step in (by_key[(policy, *where)] for policy in ("cluster", "grid", "grid_barrier", "stepwise"))]
        return f"{texts[0]} · {texts[1]} / {texts[2]} · {texts[3]}"

    lines = [f"Floors of a step in µs: {source_of(exchange)}. cluster · grid / grid with a barrier · stepwise", "",
             "| mode | H | dtype | " + " | ".join(f"B={batch}" for batch in floors.BATCHES) + " |",
             "| --- | --- | --- |" + " --- |" * len(floors.BATCHES)]
    for mode in floors.MODES:
        for hidden in floors.HIDDEN:
            for dtype in floors.SIZES:
                cells = " | ".join(cell(mode, dtype, hidden, batch) for batch in floors.BATCHES)
                lines.append(f"| {mode} | {hidden} | {dtype} | {cells} |")
    return "\n".join(lines)


def table_of_steps(cases, exchange):
    """A line for each mode, dtype and H; cluster · grid · stepwise in microseconds, turns where there are several."""
    by_key = {(c["policy"], c["mode"], c["dtype"], c["H"], c["B"]): c["step"] for c in cases}

    def text(step):
        if step is None:
            return "—"
        return f'{step["us"]:.2f}' + (f' ({step["turns"]}×)' if step["turns"] > 1 else "")

    lines = [f"Steps in µs: {source_of(exchange)}. cluster · grid · stepwise", "",
             "| mode | dtype | H | " + " | ".join(f"B={batch}" for batch in floors.BATCHES) + " |",
             "| --- | --- | --- |" + " --- |" * len(floors.BATCHES)]
    for mode in floors.MODES:
        for dtype in counted_steps.DTYPES:
            for hidden in floors.HIDDEN:
                cells = " | ".join(" · ".join(text(by_key[(policy, mode, dtype, hidden, batch)])
                                              for policy in counted_steps.POLICIES) for batch in floors.BATCHES)
                lines.append(f"| {mode} | {dtype} | {hidden} | {cells} |")
    return "\n".join(lines)


def table_of_bounds(cases, exchange):
    """What a step of a tile is made of, in clocks, with all teams that B = 256 calls for."""
    lines = [f"Terms of a step in clocks, B = 256: {source_of(exchange)}", ""]
    header = None
    for case in cases:
        step = case["step"]
        if case["B"] != 256 or step is None or case["policy"] == "stepwise":
            continue
        if header is None:
            header = list(step["clk"])
            lines += ["| policy | mode | dtype | H | blocks × teams × slots | " + " | ".join(header) + " |",
                      "| --- | --- | --- | --- | --- |" + " ---: |" * len(header)]
        shape = f'{step["blocks_of_team"]} × {step["teams"]} × {step["slots_of_team"]}'
        marked = [f"**{clk:.0f}**" if name == step["bound"] else f"{clk:.0f}" for name, clk in step["clk"].items()]
        lines.append(f'| {case["policy"]} | {case["mode"]} | {case["dtype"]} | {case["H"]} | {shape} | '
                     + " | ".join(marked) + " |")
    return "\n".join(lines)


def table_of_wide_steps(cases, steps, exchange):
    """A line for each way and H: a step by wide teams, and by the fastest of the other ways of that pass."""
    def text(step):
        return f'{step["us"]:.2f}' if step else "—"

    other = {}
    for case in steps:
        if case["step"]:
            key = case["mode"], case["dtype"], case["H"], case["B"]
            other[key] = min(other.get(key, case["step"]["us"]), case["step"]["us"])
    by_key = {(case["way"], case["H"], case["B"]): case["step"] for case in cases}
    lines = [f"Steps by wide teams in µs: {source_of(exchange)}. wide · fastest other", "",
             "| pass | dtype | order of | H | " + " | ".join(f"B={batch}" for batch in floors.BATCHES) + " |",
             "| --- | --- | --- | --- |" + " --- |" * len(floors.BATCHES)]
    orders = {"forward": "any policy", "backward": "stepwise", "backward_of_grid": "grid", wide_steps.TF32: "the tiles"}
    for way in wide_steps.WAYS:
        mode, dtype = way.split("_")[0], wide_steps.dtype_of(way)
        for hidden in wide_steps.HIDDEN:
            if wide_steps.has(way, hidden):
                cells = " | ".join(f"{text(by_key[(way, hidden, batch)])} · {other[(mode, dtype, hidden, batch)]:.2f}"
                                   for batch in floors.BATCHES)
                lines.append(f"| {mode} | {dtype} | {orders[way]} | {hidden} | {cells} |")
    return "\n".join(lines)


def table_of_streamed_steps(cases, constants, exchange):
    """A line for each pass, dtype and H: a step by teams that stream their weights, a launch for each step, and the floors'
    two."""
    lines = [f"Steps in µs: {source_of(exchange)}. streamed (turns) · a launch for each step · GEMM and pointwise kernel", "",
             "| pass | dtype | H | " + " | ".join(f"B={batch}" for batch in floors.BATCHES) + " |",
             "| --- | --- | --- |" + " --- |" * len(floors.BATCHES)]
    by_key = {(case["mode"], case["dtype"], case["H"], case["B"]): case["step"] for case in cases}

    def cell(mode, dtype, hidden, batch):
        step = by_key[mode, dtype, hidden, batch]
        turns = f' ({step["turns"]}×)' if step and step["turns"] > 1 else ""
        own = f'{step["us"]:.2f}' if step else "—"
        others = (of.stepwise_step(constants, mode, dtype, hidden, batch)["us"] for of in (stepwise_steps, floors))
        return f"{own}{turns} · " + " · ".join(f"{us:.2f}" for us in others)

    for mode in floors.MODES:
        for dtype, all_hidden in streamed_steps.HIDDEN.items():
            for hidden in (hidden for hidden in all_hidden if streamed_steps.has(dtype, mode, hidden)):
                cells = " | ".join(cell(mode, dtype, hidden, batch) for batch in floors.BATCHES)
                lines.append(f"| {mode} | {dtype} | {hidden} | {cells} |")
    return "\n".join(lines)


def table_of_training(cases, exchange):
    """A line for each case: microseconds of a training step under each policy, GEMMs alone, cuDNN's way, the floor."""
    marks = {(): "", ("forward",): " F", ("backward",): " B", ("forward", "backward"): " FB"}
    lines = [f"Training steps in µs: {source_of(exchange)}. In bold the policy that select_recurrence takes; F, B: forward, "
             "backward by wide teams", "",
             "| dtype | lengths | H | B | tokens | longest | steps | cluster | grid | stepwise | GEMMs | GEMM + pointwise | floor |",
             "| --- | --- | --- | --- |" + " ---: |" * 9]
    for case in cases:
        texts = {}
        for policy, terms in case["policies"].items():
            total = f'{terms["total"]:.0f}{marks[tuple(terms["wide"])]}' if terms else "—"
            texts[policy] = f"**{total}**" if policy == case["selected"] else total
        selected = case["policies"][case["selected"]]
        cudnn_way, floor = (f"{time:.0f}" if time else "—" for time in (case["gemm_and_pointwise"], case["floor"]))
        lines.append(f'| {case["dtype"]} | {case["lens"]} | {case["H"]} | {case["B"]} | {case["tokens"]} | {case["T"]} | '
                     f'{selected["steps"]} | {texts["cluster"]} | {texts["grid"]} | {texts["stepwise"]} | '
                     f'{selected["gemms"]:.0f} | {cudnn_way} | {floor} |')
    return "\n".join(lines)


WITHOUT_GPU = "No GPU was at hand: **nothing here is a measurement of speed.**"
WITH_EXCHANGE = ("Exchanges, resident clusters, the clock and the gap between kernels are as exchange_bench measured them; "
                 "**no step here is a measurement.**")

REPORT = """# {device}: {source}

{warning} What the emulator counted of the kernels (bytes,
pushes) and what `bench/static_cycles` counted in nvcc's machine code (instructions, the clocks for which it has a warp wait,
products, special functions, loads that a step waits on) goes over constants of an H200, each of which stands with its
source, published or assumed, at the top of `bench/floors.py`, `bench/counted_steps.py` and `bench/modelled_training.py`,
where the formulas are too. The JSON beside this file has every term. Written by

```sh
{commands}
```

The model leaves out: how warps of a sub-core take turns, bank conflicts and broadcasts in shared memory, contention of
teams beyond bytes per clock, the skew between a team's blocks and the wait for its slowest, the memory system's queues,
cold caches (what forward saved may come from HBM), clocks under load, the host. Stepwise is read from its source, not
counted. A choice between policies by these tables is provisional until the commands of `bench/README.md` have run on a GPU.

## A step

The whole batch, of equal lengths, one step further, one layer and direction, without the input projection. (n×): the
resident teams have fewer slots than the batch, and take n steps for it. Forward saves for backward.

{steps}

There are wide teams, too (`bench/wide_steps.py`), which take the place of a policy's own way if they are faster by the modelled
clocks, and give its bits: in 16 bits forward those of any policy, backward those of stepwise, or of the grid; in TF32 forward
those of the tiles.

{wide}

An LSTM has wide teams that stream their weights (`bench/streamed_steps.py`), too: in TF32 in the place of stepwise, if the
library chose it, and of the grid backward in TF32 at H = 1024 and both passes in 16 bits at H = 2048, with their bits, if they
are faster by the modelled clocks. Their bytes include those of the cells, which the model of a launch for each step leaves out.

{streamed}

## What a step is made of

A step is the sum of exchange to loads and the longest of stalls to device, in bold.

{bounds}

## Training steps

One layer, I = H, one direction, forward and backward with its GEMMs: those of tokens on the library's own tiles (F32, which
has none on tensor cores, and gradients of weights at {share:.0f} % of the peak); lengths drawn as `varlstm-bench --lstm` draws them (ewt, lognormal:32:0.8; seed {seed}). «steps»: of the selected policy. «floor»: the same
GEMMs with the best of the ways that the floors below know, over the schedule of its own slots.

{training}

## Floors

{floors}
"""


def write_report(folder, name, constants, counts, exchange, commands):
    """exchange: what exchange_bench measured, or None."""
    steps = counted_steps.model(constants, counts)
    training = modelled_training.model(constants, counts)
    floor_cases = floors.model(constants)
    wide, streamed = wide_steps.model(constants), streamed_steps.model(constants)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"{name}.md"), "w", encoding="utf-8") as file:
        file.write(REPORT.format(
            device=exchange["device"].get("name", "?") if exchange else "H200", source=source_of(exchange),
            warning=WITH_EXCHANGE if exchange else WITHOUT_GPU, commands=commands,
            share=100 * constants["gemm_share"], seed=modelled_training.SEED, steps=table_of_steps(steps, exchange),
            wide=table_of_wide_steps(wide, steps, exchange),
            streamed=table_of_streamed_steps(streamed, constants, exchange),
            bounds=table_of_bounds(steps, exchange), training=table_of_training(training, exchange),
            floors=table_of_floors(floor_cases, exchange)))
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump({"note": source_of(exchange), "constants": constants, "counts": counts, "steps": steps, "wide_steps": wide,
                   "streamed_steps": streamed,
                   "training": training, "floors": floor_cases}, file, separators=(",", ":"))
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description="steps of the recurrence, modelled")
    parser.add_argument("--exchange", help="exchange.json of exchange_bench, for the constants that it measures")
    parser.add_argument("--json", help="file for every term of every floor")
    parser.add_argument("--counts", help="counts.json of count_recurrence")
    parser.add_argument("--out", help="folder of the report; with --counts")
    parser.add_argument("--clocks", help="header of the modelled steps; with --counts")
    arguments = parser.parse_args()
    if (arguments.counts is None) != (arguments.out is None):
        parser.error("--counts and --out come together")
    if arguments.clocks and arguments.counts is None:
        parser.error("--clocks needs --counts")
    constants = {**floors.CONSTANTS, **counted_steps.CONSTANTS, **stepwise_steps.CONSTANTS, **wide_steps.CONSTANTS,
                 **modelled_training.CONSTANTS}
    exchange = None
    if arguments.exchange:
        with open(arguments.exchange, encoding="utf-8") as file:
            exchange = json.load(file)
        constants = floors.with_measured(constants, exchange)
    if arguments.counts:
        with open(arguments.counts, encoding="utf-8") as file:
            counts = json.load(file)
        counts = counts.get("counts", counts)
        if counts["code"] != "PTX of nvcc":
            parser.error(f"{arguments.counts} is not of nvcc's PTX: count_recurrence needs VARLSTM_EMULATOR_PTX")
        try:
            counts = counted_steps.with_machine_code(counts, bounds.numbers())
        except ValueError as error:
            parser.error(f"{arguments.counts}: {error}")
        measured = f" --exchange {arguments.exchange}" if exchange else ""
        commands = ("cmake --preset emulated && cmake --build --preset emulated --target varlstm_ptx count_recurrence\n"
                    "VARLSTM_EMULATOR_PTX=build-emulated/ptx build-emulated/bin/count_recurrence counts.json\n"
                    f"python3 bench/model.py --counts counts.json{measured} --out {arguments.out}" +
                    (f" --clocks {arguments.clocks}" if arguments.clocks else ""))
        write_report(arguments.out, "measured_exchange" if exchange else "h200", constants, counts, exchange, commands)
        if os.path.realpath(arguments.out) == os.path.realpath(os.path.join(page.RESULTS, "modelled")):
            page.write()
        if arguments.clocks:
            selection_clocks.write(constants, counts, arguments.clocks)
        return
    cases = floors.model(constants)
    print(table_of_floors(cases, exchange))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"note": NOT_MEASURED, "exchange": arguments.exchange, "constants": constants, "cases": cases}, file,
                      indent=1)


if __name__ == "__main__":
    main()
