"""A step by wide teams of 64 slots on a GPU (kernels/recurrence/wide/), an LSTM: modelled, not measured on a GPU. In clocks, with n teams in each block, and with what L2 gives bytes in: bytes / l2_block_bytes_per_clk, or those of all blocks /
l2_total_bytes_per_clk if that is longer:

    step = max(chain + max(work, copied in L2), n max(work, bytes in L2))

    chain    from one product of a team to the next: the exchange of the grid's policy, a barrier, a latency of L2 and a
             stage's bytes until the first copy has come, the clocks for which a warp waits by the machine code outside of
             its stages, and special functions one after the other, four forward and two backward. Backward also passes
             the parts of a quad on: a latency of distributed shared memory and the bytes of the last sum. And what a warp
             waits for in its stages beyond their work. While one team is there, the other multiplies
    work     of a product: the longest of
               product  64 x 64 sums: 32 clocks for each 16 of k, the rate of the tensor cores
               shared   what wgmma reads of both operands, and what the copies write, / shared_bytes_per_clk
               issue    instructions of a warp in its stages, one warp for each sub-core
               parts    backward: what a block pushes of its sums to the others of its quad / dsmem_bytes_per_clk
    copied   bytes that the copies of a block bring to it and its cluster: of a step's operand, its share
    bytes    these, and of each unit and slot 38: forward x-gates, saved values, c, h and y if it saves for backward;
             backward saved values, c, dy, dgates and dstate

A way is in 16 bits «forward» (in the order of the tiles), or backward in one of its orders of sums, «backward» (that of
stepwise) and «backward_of_grid»; in TF32 «forward_of_tf32», in the order of the tiles, whose blocks have half as many units. A
value has two bytes in what is above, and 44 bytes of each unit and slot. Instructions and waits are those of the warp of the block's first thread, which multiplies, in nvcc's
machine code (bounds.csv, which static_cycles writes): what a step of H = 1024 has more than one of 512 (256 in TF32) is that
of the stages that it has more.

SPDX-License-Identifier: Apache-2.0
"""
import functools
import math

import counted_steps
import floors
from static_cycles import bounds

# Beside those of floors.py.
CONSTANTS = {
    "wgmma_clk": 32,  # published: 64 x 64 x 16 in 16 bits
}
HIDDEN = (256, 512, 768, 1024)
HIDDEN_OF_TF32 = (256, 1024)
TF32 = "forward_of_tf32"
WAYS = ("forward", "backward", "backward_of_grid", TF32)
SLOTS, UNITS, LINE_BYTES, QUARTERS = 64, 16, 128, 4


def has(way, hidden):
    """Whether there is such a kernel, as why_not_wide_order of wide_selection.h."""
    return hidden in (HIDDEN_OF_TF32 if way == TF32 else HIDDEN) and (way != "backward_of_grid" or hidden >= 512)


def way_of(policy, mode, dtype):
    """The way of a pass in the place of a policy; None where there is none."""
    if dtype == "tf32":
        return TF32 if mode == "forward" and policy != "stepwise" else None
    if mode == "forward":
        return mode
    return {"stepwise": "backward", "grid": "backward_of_grid"}.get(policy)


def dtype_of(way):
    return "tf32" if way == TF32 else "bf16"


def units_of(way):
    return UNITS // 2 if way == TF32 else UNITS


def depth_of_stage(way):
    return LINE_BYTES // (4 if way == TF32 else 2)


def sizes(way, hidden):
    """(blocks of a cluster, teams of a block, blocks that share a copy), as wide_sizes of wide_selection.h."""
    if way.startswith("forward"):
        return 4, 2, 4
    cluster = 4 if way == "backward_of_grid" and hidden > 768 else 8
    return cluster, 1 if way == "backward_of_grid" else 2, cluster // QUARTERS


def stages_of(way, hidden):
    """Stages that a block multiplies: backward a quarter of the gates."""
    return (hidden if way.startswith("forward") else 4 * hidden // QUARTERS) // depth_of_stage(way)


def part_bytes():
    """What a block pushes of one sum of 64 slots x 64 units to the other blocks of its quad."""
    return SLOTS * 64 * 4 * (QUARTERS - 1) // QUARTERS


@functools.cache
def machine_code(way):
    """(instructions of a stage, clocks that a warp waits in it, clocks that it waits in the rest of a step)."""
    policy = "wide_stepwise" if way == "backward" else "wide"
    rows = {row["H"]: row for row in bounds.numbers()
            if (row["pass"], row["cell"], row["policy"], row["math"]) == (way.split("_")[0], "lstm", policy, dtype_of(way))}
    small = 256 if way == TF32 else 512
    stages = stages_of(way, 1024) - stages_of(way, small)
    of_stage = {name: (rows[1024][name] - rows[small][name]) / stages for name in ("instructions", "stalls")}
    return of_stage["instructions"], of_stage["stalls"], rows[small]["stalls"] - stages_of(way, small) * of_stage["stalls"]


def terms(constants, way, hidden):
    """What of a team's product overlaps, by name."""
    stages, gates = stages_of(way, hidden), 4 * units_of(way)
    stage = {"product": LINE_BYTES // 32 * constants["wgmma_clk"] * gates // 64,
             "shared": (SLOTS + gates + SLOTS) * LINE_BYTES / constants["shared_bytes_per_clk"],
             "issue": machine_code(way)[0]}
    result = {name: stages * clocks for name, clocks in stage.items()}
    if way.startswith("backward"):
        sums = 2 if way == "backward_of_grid" else 1
        result["parts"] = sums * part_bytes() / constants["dsmem_bytes_per_clk"]
    return result


def step_figures(constants, way, hidden):
    """(chain, work, copied, bytes), as kernels/selection/step_clocks.h has them."""
    work = max(terms(constants, way, hidden).values())
    _, stage_stalls, stalls = machine_code(way)
    chain = (floors.exchange_clk(constants, "grid", hidden // units_of(way)) + constants["block_barrier_clk"]
             + constants["l2_latency_clk"] + SLOTS * LINE_BYTES / constants["l2_block_bytes_per_clk"]
             + stalls + (4 if way.startswith("forward") else 2) * constants["mufu_latency_clk"]
             + max(0, stages_of(way, hidden) * stage_stalls - work))
    if way.startswith("backward"):
        chain += constants["dsmem_latency_clk"] + part_bytes() / constants["dsmem_bytes_per_clk"]
    copied = stages_of(way, hidden) * SLOTS * LINE_BYTES // sizes(way, hidden)[2]
    return round(chain), round(work), copied, copied + SLOTS * units_of(way) * (44 if way == TF32 else 38)


def step_clocks(constants, way, hidden, teams, sets):
    """As wide_step_clocks of wide_selection.h."""
    chain, work, copied, moved = step_figures(constants, way, hidden)
    blocks = hidden // units_of(way) * sets

    def with_bytes(count):
        return max(work, count // constants["l2_block_bytes_per_clk"], count * blocks // constants["l2_total_bytes_per_clk"])
    return max(chain + with_bytes(copied), math.ceil(teams / sets) * with_bytes(moved))


def choose_teams(constants, way, hidden, batch):
    """(teams, sets, clocks of a step, modelled clocks) of a batch (B, T, N) of one direction, as choose_wide of
    wide_selection.h; None if there is no such kernel, or the device holds no set."""
    if not has(way, hidden):
        return None
    cluster, teams_of_block, _ = sizes(way, hidden)
    blocks = min(constants["resident_clusters"][cluster] * cluster, constants["multiprocessors"])
    most_sets = blocks // (hidden // units_of(way))
    if most_sets == 0:
        return None
    chosen = None
    for teams in range(1, min(math.ceil(batch[0] / SLOTS), teams_of_block * most_sets) + 1):
        sets = min(teams, most_sets)
        step = step_clocks(constants, way, hidden, teams, sets)
        clocks = counted_steps.modelled_steps(batch, teams * SLOTS) * step
        if chosen is None or clocks < chosen[3]:
            chosen = (teams, sets, step, clocks)
    return chosen


def batch_step(constants, way, hidden, batch):
    """The whole batch, of equal lengths, one step further; None where choose_teams has none."""
    chosen = choose_teams(constants, way, hidden, (batch, 1, batch))
    if chosen is None:
        return None
    teams, sets, _, clocks = chosen
    return {"us": clocks / constants["clock_ghz"] / 1e3, "turns": math.ceil(batch / (teams * SLOTS)), "teams": teams,
            "sets": sets}


def model(constants):
    return [{"way": way, "H": hidden, "B": batch, "step": batch_step(constants, way, hidden, batch)}
            for way in WAYS for hidden in HIDDEN for batch in floors.BATCHES]
