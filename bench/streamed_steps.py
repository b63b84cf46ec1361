"""A step by wide teams that stream their weights on a GPU (kernels/recurrence/wide/weight_stream.h), an LSTM in TF32, or
in 16 bits at H = 2048: modelled, not measured on a GPU. A block has one team of up to 64 slots. With bytes /
l2_block_bytes_per_clk, or those of all blocks / l2_total_bytes_per_clk if that is longer, in clocks:

    step = max(chain + max(work, copies behind in L2), all bytes in L2)

    chain    as in wide_steps.py. Backward also passes parts on: latency of distributed shared memory, and the bytes of the
             last sum, of each slot. In the order of the grid also the products of the last stage of each run
             (quarter_multiplier.h), beside which no other is under way
    work     of a product: the longest of product, shared, issue and parts, as there. A product of 64 x 64 x 8 takes as long
             as one of 64 x 64 x 16 in 16 bits. The values of 64 slots are written, whatever a team has
    behind   the values of the team's slots that a block copies, its share, and the streamed weights but for what the ring
             holds: they flow on while the blocks exchange values
    all      these, the weights in the ring too, and of each unit and slot forward x-gates, saved values, c, y and h, backward
             saved values, c, dy, dgates and dstate

SPDX-License-Identifier: Apache-2.0
"""
import functools
import math

import counted_steps
import floors
import stepwise_steps
import wide_steps
from static_cycles import bounds

# Of each math: the H in the order of stepwise, and of the grid, of which TF32 has backward alone; bytes of a value.
OF_STEPWISE = {"tf32": (256, 2048), "bf16": ()}
OF_GRID = {"tf32": (1024,), "bf16": (2048,)}
HIDDEN = {dtype: tuple(sorted(OF_STEPWISE[dtype] + OF_GRID[dtype])) for dtype in ("tf32", "bf16")}
SIZES = {"tf32": 4, "bf16": 2}
SUMS_OF_GRID = {"tf32": 4, "bf16": 2}  # of a unit that a block pushes backward
LINES, STAGE_BYTES = 64, 64 * 128  # of weights
SLOTS = tuple(range(8, wide_steps.SLOTS + 1, 8))


def policy_of(dtype, hidden):
    """In whose place they run."""
    return "grid" if hidden in OF_GRID[dtype] else "stepwise"


def has(dtype, mode, hidden):
    return hidden in OF_STEPWISE[dtype] or hidden in OF_GRID[dtype] and (dtype == "bf16" or mode == "backward")


def cluster_of(dtype, mode, hidden):
    """(blocks, blocks that share a copy), as wide_sizes of wide_selection.h."""
    if mode == "forward":
        return 4, 4
    return (8, 2) if dtype == "tf32" and hidden in OF_GRID[dtype] else (4, 1)


def run_of(dtype):
    """Stages of a run, as kRun of WideBackwardTile."""
    return 2 * SIZES[dtype]


def ring_stages(dtype, mode, hidden):
    """Of weights."""
    if mode == "forward":
        return 6
    return run_of(dtype) - run_of(dtype) // SIZES[dtype] if policy_of(dtype, hidden) == "grid" else 5


def bytes_of_cell(dtype, mode):
    """x-gates, saved values and c are in f32."""
    size = SIZES[dtype]
    return 16 + 16 + 4 + 2 * size if mode == "forward" else 16 + 4 + (1 + 4 + 4) * size


def stages_of(dtype, hidden):
    """Stages that a block multiplies: forward H, backward a quarter of 4 H."""
    return hidden * SIZES[dtype] // 128


def kept_stages(dtype, mode, hidden):
    """As kept_every of wide_tile.h: forward of each of the four chains of a sum, backward of all that a block has."""
    chain = stages_of(dtype, hidden) // (4 if mode == "forward" else 1)
    return stages_of(dtype, hidden) // min(SIZES[dtype], chain)


@functools.cache
def machine_code(dtype, mode, hidden):
    """(instructions of a stage, clocks that a warp waits in it, clocks that it waits in the rest of a step). In the order of
    the grid the rest is that of a kernel with the same cells: in 16 bits of H = 1024, in TF32 in the order of stepwise."""
    def rows_of(policy):
        return {row["H"]: row for row in bounds.numbers()
                if (row["pass"], row["cell"], row["policy"], row["math"]) == (mode, "lstm", policy, dtype)}

    if policy_of(dtype, hidden) == "grid":
        row, stages = rows_of("wide")[hidden], stages_of(dtype, hidden)
        rest = (wide_steps.machine_code("backward_of_grid" if mode == "backward" else mode)[2] if dtype == "bf16"
                else machine_code(dtype, mode, OF_STEPWISE[dtype][0])[2])
        return row["instructions"] / stages, (row["stalls"] - rest) / stages, rest
    rows = rows_of("wide_stepwise")
    small, large = OF_STEPWISE[dtype]
    stages = stages_of(dtype, large) - stages_of(dtype, small)
    of_stage = {name: (rows[large][name] - rows[small][name]) / stages for name in ("instructions", "stalls")}
    return (of_stage["instructions"], of_stage["stalls"],
            rows[small]["stalls"] - stages_of(dtype, small) * of_stage["stalls"])


def terms(constants, dtype, mode, hidden):
    """What of a product overlaps, by name."""
    stages = stages_of(dtype, hidden)
    streamed = stages - kept_stages(dtype, mode, hidden)
    reads_and_values = (wide_steps.SLOTS + LINES + wide_steps.SLOTS) * 128
    sums = SUMS_OF_GRID[dtype] if policy_of(dtype, hidden) == "grid" else 1
    return {"product": stages * 4 * constants["wgmma_clk"],
            "shared": (stages * reads_and_values + streamed * STAGE_BYTES) / constants["shared_bytes_per_clk"],
            "issue": stages * machine_code(dtype, mode, hidden)[0],
            "parts": sums * wide_steps.part_bytes() / constants["dsmem_bytes_per_clk"] if mode == "backward" else 0}


def step_figures(constants, dtype, mode, hidden):
    """(chain, chain of a slot, work, weights, ahead, copied of a slot, bytes of a slot), as step_clocks.h has them."""
    work = max(terms(constants, dtype, mode, hidden).values())
    _, stage_stalls, stalls = machine_code(dtype, mode, hidden)
    stages = stages_of(dtype, hidden)
    chain = (floors.exchange_clk(constants, "grid", hidden // wide_steps.UNITS) + constants["block_barrier_clk"]
             + constants["l2_latency_clk"] + STAGE_BYTES / constants["l2_block_bytes_per_clk"] + stalls
             + (4 if mode == "forward" else 2) * constants["mufu_latency_clk"] + max(0, stages * stage_stalls - work))
    of_slot = 0.0
    if mode == "backward":
        chain += constants["dsmem_latency_clk"]
        of_slot = wide_steps.part_bytes() / wide_steps.SLOTS / constants["dsmem_bytes_per_clk"]
        if policy_of(dtype, hidden) == "grid":
            chain += stages // run_of(dtype) * 4 * constants["wgmma_clk"]
    weights = (stages - kept_stages(dtype, mode, hidden)) * STAGE_BYTES
    copied = stages * 128 // cluster_of(dtype, mode, hidden)[1]
    return (round(chain), round(of_slot), round(work), weights, ring_stages(dtype, mode, hidden) * STAGE_BYTES, copied,
            copied + wide_steps.UNITS * bytes_of_cell(dtype, mode))


def step_clocks(constants, dtype, mode, hidden, slots, teams):
    """As streamed_step_clocks of wide_selection.h; teams of as many sets."""
    chain, chain_of_slot, work, weights, ahead, copied, moved = step_figures(constants, dtype, mode, hidden)
    blocks = hidden // wide_steps.UNITS * teams

    def with_bytes(clocks, count):
        return max(clocks, count // constants["l2_block_bytes_per_clk"], count * blocks // constants["l2_total_bytes_per_clk"])
    alone = chain + chain_of_slot * slots + with_bytes(work, max(0, weights - ahead) + copied * slots)
    return with_bytes(alone, weights + moved * slots)


def choose_teams(constants, dtype, mode, hidden, batch):
    """(teams, slots of each, clocks of a step, modelled clocks) of a batch (B, T, N) of one direction, as choose_streamed of
    wide_selection.h; None if there is no such kernel."""
    if dtype not in HIDDEN or not has(dtype, mode, hidden):
        return None
    cluster = cluster_of(dtype, mode, hidden)[0]
    blocks = min(constants["resident_clusters"][cluster] * cluster, constants["multiprocessors"])
    most = min(math.ceil(batch[0] / wide_steps.SLOTS), blocks // (hidden // wide_steps.UNITS))
    ways = [(teams, slots, step_clocks(constants, dtype, mode, hidden, slots, teams)) for teams in range(1, most + 1)
            for slots in SLOTS]
    chosen = min(ways, key=lambda way: counted_steps.modelled_steps(batch, way[0] * way[1]) * way[2], default=None)
    return chosen and (*chosen, counted_steps.modelled_steps(batch, chosen[0] * chosen[1]) * chosen[2])


def stepwise_figures(constants, mode, hidden):
    """(clocks of a launch of one sequence, what each further one of up to 64 adds, clocks of each of 256) of a launch for each
    step, as step_clocks.h has them."""
    def clocks(batch):
        step = stepwise_steps.stepwise_step(constants, mode, "tf32", hidden, batch)
        return step["us"] * 1e3 * constants["clock_ghz"]
    return round(clocks(1)), round((clocks(64) - clocks(1)) / 63), round(clocks(256) / 256)


def is_faster(constants, mode, hidden, batch):
    """As is_wide_faster of wide_selection.h, of TF32 and a launch for each step."""
    if hidden not in OF_STEPWISE["tf32"]:
        return False
    chosen = choose_teams(constants, "tf32", mode, hidden, batch)
    if chosen is None:
        return False
    step, more, rank = stepwise_figures(constants, mode, hidden)
    return chosen[3] < max(batch[1] * step + (batch[2] - batch[1]) * more, batch[2] * rank)


def batch_step(constants, dtype, mode, hidden, batch):
    """The whole batch, of equal lengths, one step further; None where choose_teams has none."""
    chosen = choose_teams(constants, dtype, mode, hidden, (batch, 1, batch))
    if chosen is None:
        return None
    teams, slots, _, clocks = chosen
    return {"us": clocks / constants["clock_ghz"] / 1e3, "turns": math.ceil(batch / (teams * slots)), "teams": teams,
            "slots": slots}


def model(constants):
    return [{"mode": mode, "dtype": dtype, "H": hidden, "B": batch, "step": batch_step(constants, dtype, mode, hidden, batch)}
            for mode in floors.MODES for dtype in HIDDEN for hidden in HIDDEN[dtype] if has(dtype, mode, hidden)
            for batch in floors.BATCHES]
