"""A step by wide teams that stream their weights on a GPU (kernels/recurrence/wide/weight_stream.h), an LSTM in TF32, or
in 16 bits at H = 2048: modelled, not measured on a GPU. A block has one team of up to 64 slots. With bytes /
l2_block_bytes_per_clk, or those of all blocks / l2_total_bytes_per_clk if that is longer, in clocks:

    step = max(chain + max(work, copies behind in L2), all bytes in L2)

    chain    as in wide_steps.py. Backward also passes parts on: latency and bytes of distributed shared memory, of each slot
    work     of a product: the longest of product, shared and issue, as there. A product of 64 x 64 x 8 takes as long as one
             of 64 x 64 x 16 in 16 bits. The values of 64 slots are written, whatever a team has
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

# Of each math: the H, bytes of a value, slots of the rings in each pass, sums of a unit that a block pushes backward.
HIDDEN = {"tf32": (256, 2048), "bf16": (2048,)}
SIZES = {"tf32": 4, "bf16": 2}
RING_STAGES = {"tf32": {"forward": 6, "backward": 5}, "bf16": {"forward": 6, "backward": 3}}
SUMS = {"tf32": 1, "bf16": 2}
LINES, STAGE_BYTES = 64, 64 * 128  # of weights
CLUSTER = 4
SLOTS = tuple(range(8, wide_steps.SLOTS + 1, 8))


def policy_of(dtype):
    """In whose place they run."""
    return {"tf32": "stepwise", "bf16": "grid"}[dtype]


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
def machine_code(dtype, mode):
    """(instructions of a stage, clocks that a warp waits in it, clocks that it waits in the rest of a step). In 16 bits the
    rest is that of H = 1024, whose cells are the same, without its stages."""
    policy = "wide" if policy_of(dtype) == "grid" else "wide_stepwise"
    rows = {row["H"]: row for row in bounds.numbers()
            if (row["pass"], row["cell"], row["policy"], row["math"]) == (mode, "lstm", policy, dtype)}
    if dtype == "bf16":
        rest = wide_steps.machine_code("backward_of_grid" if mode == "backward" else mode)[2]
        stages = stages_of(dtype, 2048)
        return rows[2048]["instructions"] / stages, (rows[2048]["stalls"] - rest) / stages, rest
    small, large = HIDDEN[dtype]
    stages = stages_of(dtype, large) - stages_of(dtype, small)
    of_stage = {name: (rows[large][name] - rows[small][name]) / stages for name in ("instructions", "stalls")}
    return (of_stage["instructions"], of_stage["stalls"],
            rows[small]["stalls"] - stages_of(dtype, small) * of_stage["stalls"])


def terms(constants, dtype, mode, hidden):
    """What of a product overlaps, by name."""
    stages = stages_of(dtype, hidden)
    streamed = stages - kept_stages(dtype, mode, hidden)
    reads_and_values = (wide_steps.SLOTS + LINES + wide_steps.SLOTS) * 128
    return {"product": stages * 4 * constants["wgmma_clk"],
            "shared": (stages * reads_and_values + streamed * STAGE_BYTES) / constants["shared_bytes_per_clk"],
            "issue": stages * machine_code(dtype, mode)[0]}


def step_figures(constants, dtype, mode, hidden):
    """(chain, chain of a slot, work, weights, ahead, copied of a slot, bytes of a slot), as step_clocks.h has them."""
    work = max(terms(constants, dtype, mode, hidden).values())
    _, stage_stalls, stalls = machine_code(dtype, mode)
    stages = stages_of(dtype, hidden)
    chain = (floors.exchange_clk(constants, "grid", hidden // wide_steps.UNITS) + constants["block_barrier_clk"]
             + constants["l2_latency_clk"] + STAGE_BYTES / constants["l2_block_bytes_per_clk"] + stalls
             + (4 if mode == "forward" else 2) * constants["mufu_latency_clk"] + max(0, stages * stage_stalls - work))
    of_slot = 0.0
    if mode == "backward":
        chain += constants["dsmem_latency_clk"]
        of_slot = SUMS[dtype] * wide_steps.part_bytes() / wide_steps.SLOTS / constants["dsmem_bytes_per_clk"]
        if SUMS[dtype] > 1:  # a stage's product and its addition, one after the other
            chain += stages * 4 * constants["wgmma_clk"]
    weights = (stages - kept_stages(dtype, mode, hidden)) * STAGE_BYTES
    copied = stages * 128 // (CLUSTER if mode == "forward" else 1)
    return (round(chain), round(of_slot), round(work), weights, RING_STAGES[dtype][mode] * STAGE_BYTES, copied,
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
    if hidden not in HIDDEN.get(dtype, ()):
        return None
    blocks = min(constants["resident_clusters"][CLUSTER] * CLUSTER, constants["multiprocessors"])
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
    """As is_wide_faster of wide_selection.h, of TF32."""
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
            for mode in floors.MODES for dtype in HIDDEN for hidden in HIDDEN[dtype] for batch in floors.BATCHES]
