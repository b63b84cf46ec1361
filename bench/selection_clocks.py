"""The header with the modelled clocks of a step of every tile, from which recurrence_selection.h chooses.

SPDX-License-Identifier: Apache-2.0
"""
import os

import counted_steps
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
  WideFigures forward, backward, backward_of_grid;
};
constexpr WideStep kWideSteps[] = {
"""


def wide_row(constants, hidden):
    figures = (wide_steps.step_figures(constants, way, hidden) if wide_steps.has(way, hidden) else ()
               for way in wide_steps.WAYS)
    return f'    {{{hidden}, {", ".join("{" + ", ".join(map(str, of)) + "}" for of in figures)}}},\n'


def text_of(constants, counts):
    """The header."""
    rows = []
    for forward, backward in counted_steps.pairs_of_tiles(counts["tiles"]):
        figures = (", ".join(map(str, counted_steps.step_figures(constants, tile))) for tile in (forward, backward))
        rows.append(f'    {{RecurrencePolicy::{POLICIES[forward["policy"]]}, MathKind::{MATHS[forward["math"]]}, '
                    f'{forward["H"]}, {forward["slots"]}, {{{"}, {".join(figures)}}}}},\n')
    header = HEADER.format(of_block=constants["l2_block_bytes_per_clk"], of_all=constants["l2_total_bytes_per_clk"])
    wide = [wide_row(constants, hidden) for hidden in wide_steps.HIDDEN]
    return header + "".join(rows) + WIDE + "".join(wide) + "};\n\n}  // namespace varlstm::cuda\n"


def write(constants, counts, path):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text_of(constants, counts))
