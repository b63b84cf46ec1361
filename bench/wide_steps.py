"""A step of forward by wide teams of 64 slots on a GPU (kernels/recurrence/wide/), 16 bits, an LSTM: modelled, not measured on
a GPU. In clocks, with n teams in each block:

    step = max(chain + work, n work, n bytes / l2_block_bytes_per_clk, n bytes blocks / l2_total_bytes_per_clk)

    chain    from one product of a team to the next: the exchange of the grid's policy, a barrier, a latency of L2 and a
             stage's bytes until the first copy has come, the instructions of the cells, and four special functions one after
             the other. While one team is there, the other multiplies
    work     of a product: the longest of
               product  64 slots x 64 gates: 32 clocks for each 16 of k, the rate of the tensor cores
               shared   what wgmma reads of both operands, and what the copies write, / shared_bytes_per_clk
               issue    instructions of a warp, one for each sub-core: of each stage, and of each part of the depth
    bytes    that a block moves for a team: its share of the states, which come once a cluster, and 38 bytes of gates, states
             and outputs for each unit and slot, if forward saves

SPDX-License-Identifier: Apache-2.0
"""
import math

import floors

# Beside those of floors.py.
CONSTANTS = {
    "wgmma_clk": 32,  # published: 64 x 64 x 16 in 16 bits
    # Counted: instructions of a warp in nvcc 13.0's machine code for sm_90a.
    "wide_stage_instructions": 82, "wide_part_instructions": 32, "wide_cell_instructions": 800,
}
HIDDEN = (256, 512, 768, 1024)
SLOTS, TEAMS, UNITS, CLUSTER, GATES, STAGE = 64, 2, 16, 4, 64, 64
BYTES_OF_CELL = 38


def terms(constants, hidden):
    """What of a team's product overlaps, by name."""
    shared = (SLOTS + GATES) * hidden * 2 + SLOTS * hidden * 2
    stages = hidden // STAGE
    return {"product": hidden // 16 * constants["wgmma_clk"], "shared": shared / constants["shared_bytes_per_clk"],
            "issue": stages * constants["wide_stage_instructions"] + 4 * constants["wide_part_instructions"]}


def step_figures(constants, hidden):
    """(chain, work, bytes), as kernels/selection/step_clocks.h has them."""
    chain = (floors.exchange_clk(constants, "grid", hidden // UNITS) + constants["block_barrier_clk"]
             + constants["l2_latency_clk"] + SLOTS * STAGE * 2 / constants["l2_block_bytes_per_clk"]
             + constants["wide_cell_instructions"] + 4 * constants["mufu_latency_clk"])
    moved = SLOTS * hidden * 2 // CLUSTER + SLOTS * UNITS * BYTES_OF_CELL
    return round(chain), round(max(terms(constants, hidden).values())), moved


def teams_of_batch(constants, hidden, batch):
    """(teams, sets) of one direction, as choose_wide of wide_selection.h."""
    blocks = min(constants["resident_clusters"][CLUSTER] * CLUSTER, constants["multiprocessors"])
    most = blocks // (hidden // UNITS)
    teams = min(math.ceil(batch / SLOTS), TEAMS * most)
    return teams, min(teams, most)


def step_clocks(constants, hidden, teams, sets):
    """As wide_step_clocks of wide_selection.h."""
    chain, work, moved = step_figures(constants, hidden)
    of_block, blocks = math.ceil(teams / sets), hidden // UNITS * sets
    return max(chain + work, *(of_block * clocks for clocks in (
        work, moved // constants["l2_block_bytes_per_clk"], moved * blocks // constants["l2_total_bytes_per_clk"])))


def batch_step(constants, hidden, batch):
    """The whole batch, of equal lengths, one step further; None if the device holds no set."""
    teams, sets = teams_of_batch(constants, hidden, batch)
    if teams == 0:
        return None
    turns = math.ceil(batch / (teams * SLOTS))
    clocks = step_clocks(constants, hidden, teams, sets)
    return {"us": turns * clocks / constants["clock_ghz"] / 1e3, "turns": turns, "teams": teams, "sets": sets}


def model(constants):
    return [{"H": hidden, "B": batch, "step": batch_step(constants, hidden, batch)}
            for hidden in HIDDEN for batch in floors.BATCHES]
