"""The header with the modelled clocks of a step of every tile, from which recurrence_selection.h chooses.

SPDX-License-Identifier: Apache-2.0
"""
import os

import counted_steps
import floors
import streamed_steps
import wide_steps

FILE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kernels", "selection", "step_clocks.h")
POLICIES = {"cluster": "kCluster", "grid": "kGrid"}
MATHS = {"bf16": "kBf16", "tf32": "kTf32", "f32": "kF32"}

HEADER = """// What bench/model.py models of a step of an LSTM in each tile, for an H200. Not measured on a GPU: bench/model.py
// --clocks writes this file from counts of the kernels, and bench/model_test.py compares it with them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {{

// What L2 gives a block in a clock, and all blocks together.
constexpr int64_t kL2BytesOfBlock = {of_block}, kL2BytesOfAll = {of_all};

// Of a policy, math, H and number of slots: forward and backward.
constexpr TileStep kTileSteps[] = {{
"""

WIDE = """};

// Of wide teams and an H, of one team of a block. Only the bytes that its copies bring for a product, `copied`,
// lengthen its chain; all share what L2 gives. Backward is in the order of stepwise, and of policy grid if it has one.
struct WideFigures {
  int32_t chain, work, copied, bytes;
};
struct WideStep {
  int hidden;
  bool narrow;  // 16 bits, otherwise TF32
  WideFigures forward, backward, backward_of_grid;
};
constexpr WideStep kWideSteps[] = {
"""


STREAMED = """};

// Of wide teams whose weights are streamed, and an H. In each step a block copies `weights` bytes, of which the ring
// holds `ahead` before the step's values are there. A slot adds to the chain, `copied` bytes of values, and `bytes`
// with those of its cells.
struct StreamedFigures {
  int32_t chain, chain_of_slot, work, weights, ahead, copied, bytes;
};
struct StreamedStep {
  int hidden;
  bool narrow;  // 16 bits, otherwise TF32
  StreamedFigures forward, backward;
};
constexpr StreamedStep kStreamedSteps[] = {
"""

STEPWISE = """};

// Of a launch for each step in TF32, and an H: of one sequence, what each further one adds to it, and of each sequence
// of a wide batch.
struct StepwiseFigures {
  int32_t step, more, rank;
};
struct StepwiseStep {
  int hidden;
  StepwiseFigures forward, backward;
};
constexpr StepwiseStep kStepwiseSteps[] = {
"""


def of_passes(figures):
    """The end of a row: figures(mode) of both passes."""
    return ", ".join("{" + ", ".join(map(str, figures(mode))) + "}" for mode in floors.MODES) + "},\n"


def wide_row(constants, dtype, hidden):
    ways = wide_steps.WAYS[:3] if dtype == "bf16" else (wide_steps.TF32, None, None)
    figures = (wide_steps.step_figures(constants, way, hidden) if way and wide_steps.has(way, hidden) else ()
               for way in ways)
    return (f'    {{{hidden}, {"true" if dtype == "bf16" else "false"}, '
            f'{", ".join("{" + ", ".join(map(str, of)) + "}" for of in figures)}}},\n')


def text_of(constants, counts):
    """The header."""
    rows = []
    for forward, backward in counted_steps.pairs_of_tiles(counts["tiles"]):
        figures = (", ".join(map(str, counted_steps.step_figures(constants, tile))) for tile in (forward, backward))
        rows.append(f'    {{RecurrencePolicy::{POLICIES[forward["policy"]]}, MathKind::{MATHS[forward["math"]]}, '
                    f'{forward["H"]}, {forward["slots"]}, {{{"}, {".join(figures)}}}}},\n')
    header = HEADER.format(of_block=constants["l2_block_bytes_per_clk"], of_all=constants["l2_total_bytes_per_clk"])
    wide = [wide_row(constants, dtype, hidden) for dtype, all_hidden in
            (("bf16", wide_steps.HIDDEN), ("tf32", wide_steps.HIDDEN_OF_TF32)) for hidden in all_hidden]
    streamed = "".join(f'    {{{hidden}, {"true" if dtype == "bf16" else "false"}, '
                       + of_passes(lambda mode, dtype=dtype, hidden=hidden:
                                   streamed_steps.step_figures(constants, dtype, mode, hidden)
                                   if streamed_steps.has(dtype, mode, hidden) else ())
                       for dtype, all_hidden in streamed_steps.HIDDEN.items() for hidden in all_hidden)
    stepwise = "".join(f"    {{{hidden}, " + of_passes(
        lambda mode, hidden=hidden: streamed_steps.stepwise_figures(constants, mode, hidden))
                       for hidden in streamed_steps.OF_STEPWISE["tf32"])
    return (header + "".join(rows) + WIDE + "".join(wide) + STREAMED + streamed + STEPWISE + stepwise
            + "};\n\n}  // namespace varlstm::cuda\n")


def write(constants, counts, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text_of(constants, counts))
