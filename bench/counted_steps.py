"""A step of the library's own recurrence on a GPU, from what count_recurrence counts: modelled, not measured on a GPU.

The tiles are those of kernels/selection/recurrence_selection.h, as counts.json lists them with their counts of a block and
step, all slots busy, forward saving for backward. A step of a resident team, in clocks:

    step = exchange + barriers + fragment + k_reduction + cell + parts + max(product, issue, shared, transfer, device)

    exchange    what one unit takes from block to block: floors.exchange_clk, or for the grid, whose flags come before
                the data, one latency of L2 more to load what a flag covers
    barriers    counted barriers of the block * block_barrier_clk; grid forward has three or four, all in the chain
    fragment    a load from shared memory and the first product, as in the floors
    k_reduction where the depth is split, forward: a store and a load in shared memory (its barrier is counted)
    cell        as in the floors, and a shuffle (two in 16 bits) before a state is pushed
    parts       backward: M parts of dh in the order of the blocks: a load from shared memory and M dependent additions;
                in the grid, whose loop is unrolled by 8, ceil(M / 8) latencies of L2 and the additions
    product     the longest of: the products of a warp's chain, one after the other (mma_latency_clk each), and those of a
                sub-core (mma_issue_clk each); on the CUDA cores (F32) fused multiply-adds of a sub-core, one a clock
    issue       instructions of PTX of a sub-core's warps, counted, one a clock; ptxas may make more or fewer of them
    shared      bytes that lanes read and write in the block's shared memory, counted / shared_bytes_per_clk; lanes that
                read one address count each, so for F32 (4 lanes share a weight, 8 a state) this is an upper bound
    transfer    cluster: bytes pushed to or from other blocks, counted: floors.transfer_clk
    device      bytes that lanes read and write in device memory, counted, / what L2 gives a block; the schedule's entries,
                which all lanes of a slot read, once a slot

Stepwise has no counts: its launches, tiles and loops are read from kernels/recurrence/stepwise/stepwise_*.cu
(see stepwise_step).

SPDX-License-Identifier: Apache-2.0
"""
import math

import floors

# Beside those of floors.py.
CONSTANTS = {
    "shared_limit_bytes": 227 * 1024,  # published: of a block
    "add_latency_clk": 4,  # published: a dependent f32 operation
    "shuffle_clk": 25,  # assumed: near a load from shared memory
    "stepwise_tile": 16,  # ranks and units of a block of stepwise
    "stepwise_blocks_of_multiprocessor": 8,  # by its 256 threads
}
POLICIES = ("cluster", "grid", "stepwise")
DTYPES = ("bf16", "tf32", "f32")
SIZES = {"bf16": 2, "tf32": 4, "f32": 4}


def resident_teams(constants, tile):
    """Teams of one direction that are resident at a time: as in recurrence_selection.h, with the constants' device."""
    if tile["policy"] == "grid":
        return constants["multiprocessors"] // tile["blocks"]
    return constants["resident_clusters"][tile["blocks"]]


def choose_tile(constants, counts, policy, dtype, hidden, batch):
    """(forward's tile, backward's, teams) of a batch as choose_tile of recurrence_selection.h; None where illegal."""
    rows = [tile for tile in counts["tiles"] if (tile["policy"], tile["math"]) == (policy, dtype) and tile["H"] >= hidden]
    pairs = [(forward, backward) for forward in rows for backward in rows
             if forward["mode"] == "forward" and backward["mode"] == "backward" and forward["H"] == backward["H"]
             and forward["slots"] == backward["slots"] and forward["units"] == backward["units"]]
    limit = constants["shared_limit_bytes"]
    chosen = None
    for forward, backward in pairs:
        if forward["H"] != pairs[0][0]["H"]:
            break
        teams = resident_teams(constants, forward)
        if teams < 1 or max(forward["shared_bytes"], backward["shared_bytes"]) > limit:
            continue
        wanted = math.ceil(batch / forward["slots"])
        chosen = (forward, backward, min(wanted, teams))
        if wanted <= teams:
            break
    return chosen


def exchange_clk(constants, tile):
    """Of one unit from block to block; with measured figures those of the team that is nearest in size."""
    members = tile["blocks"]
    if members == 1:
        return 0  # a barrier of the block, which is counted
    measured = constants.get("measured_exchange_clk", {}).get(tile["policy"])
    if measured:
        members = min(measured, key=lambda size: abs(size - members))
    more = constants["l2_latency_clk"] if tile["policy"] == "grid" else 0
    return floors.exchange_clk(constants, tile["policy"], members) + more


def parts_clk(constants, tile):
    if tile["mode"] == "forward":
        return 0
    additions = tile["blocks"] * constants["add_latency_clk"]
    if tile["policy"] == "grid":
        return math.ceil(tile["blocks"] / 8) * constants["l2_latency_clk"] + additions
    return constants["shared_latency_clk"] + additions


def product_clk(constants, tile):
    warps = tile["threads"] // 32
    warps_of_subcore = math.ceil(warps / 4)
    if tile["math"] == "f32":
        multiply_adds = 4 * tile["units"] * tile["H"] * tile["slots"]
        return multiply_adds / tile["threads"] * warps_of_subcore
    products = tile["per_step"]["mma"] / warps
    depth = tile["H"] // tile["splits"] if tile["mode"] == "forward" else 4 * tile["units"]
    chain = depth // floors.DEPTHS[tile["math"]]
    return max(chain * constants["mma_latency_clk"], products * warps_of_subcore * constants["mma_issue_clk"])


def device_clk(constants, tile, teams):
    counted = tile["per_step"]
    schedule = 16 * tile["slots"] * (tile["units"] - 1)  # an entry for each cell; one is enough
    moved = counted["device_bytes_read"] + counted["device_bytes_written"] - schedule
    rate = min(constants["l2_block_bytes_per_clk"], constants["l2_total_bytes_per_clk"] / (tile["blocks"] * teams))
    return moved / rate


def resident_step(constants, tile, teams):
    """One step of all resident teams, each term in clocks."""
    counted, dtype = tile["per_step"], tile["math"]
    forward = tile["mode"] == "forward"
    pushes = forward and tile["blocks"] > 1
    pushed = counted["pushed_bytes"]
    chain = {
        "exchange": exchange_clk(constants, tile),
        "barriers": counted["block_barriers"] * constants["block_barrier_clk"],
        "fragment": constants["shared_latency_clk"] + constants["mma_latency_clk"],
        "k_reduction": 2 * constants["shared_latency_clk"] if tile["splits"] > 1 else 0,
        "cell": constants["cell_clk"] + (pushes and constants["shuffle_clk"] * (2 if dtype == "bf16" else 1)),
        "parts": parts_clk(constants, tile),
    }
    overlapped = {
        "product": product_clk(constants, tile),
        "issue": counted["instructions"] / 32 / 4,
        "shared": (counted["shared_bytes_read"] + counted["shared_bytes_written"]) / constants["shared_bytes_per_clk"],
        "transfer": floors.transfer_clk(constants, "cluster", tile["blocks"], teams, pushed) if pushed else 0,
        "device": device_clk(constants, tile, teams),
    }
    clk = sum(chain.values()) + max(overlapped.values())
    return {"us": clk / constants["clock_ghz"] / 1e3, "bound": max(overlapped, key=overlapped.get),
            "clk": {**chain, **overlapped}}


def stepwise_step(constants, mode, dtype, hidden, batch):
    """One launch: blocks of 16 ranks x 16 units, 256 threads, CUDA cores whatever the dtype. Each 32 of the depth are
    loaded (a latency of L2, two barriers, one of shared memory), then multiplied: of 4 bytes from shared memory, a thread
    reads 5 for 4 multiply-adds forward (depth H), 2 for one backward (depth 4H). Blocks of one multiprocessor share its
    shared memory and hide each other's loads. W_hh comes through L2 once for each 16 ranks."""
    tile = constants["stepwise_tile"]
    blocks = math.ceil(batch / tile) * math.ceil(hidden / tile)
    depth, words = (hidden, 5) if mode == "forward" else (4 * hidden, 2)
    load = constants["l2_latency_clk"] + 2 * constants["block_barrier_clk"] + constants["shared_latency_clk"]
    multiply = 256 * 4 * words / constants["shared_bytes_per_clk"]  # of one of the depth
    of_multiprocessor = math.ceil(blocks / constants["multiprocessors"])
    waves = math.ceil(of_multiprocessor / constants["stepwise_blocks_of_multiprocessor"])
    terms = {"kernel_gap": constants["kernel_gap_us"] * 1e3 * constants["clock_ghz"],
             "alone": waves * depth * (load / 32 + multiply), "shared": of_multiprocessor * depth * multiply,
             "weights_l2": math.ceil(batch / tile) * 4 * hidden * hidden * SIZES[dtype] / constants["l2_total_bytes_per_clk"]}
    clk = terms["kernel_gap"] + max(terms["alone"], terms["shared"], terms["weights_l2"]) + constants["cell_clk"]
    return {"us": clk / constants["clock_ghz"] / 1e3, "clk": terms}


def batch_step(constants, counts, policy, mode, dtype, hidden, batch):
    """The whole batch, of equal lengths, one step further: as many turns of a step as the batch has slots; or None."""
    if policy == "stepwise":
        return {**stepwise_step(constants, mode, dtype, hidden, batch), "turns": 1}
    chosen = choose_tile(constants, counts, policy, dtype, hidden, batch)
    if chosen is None:
        return None
    forward, backward, teams = chosen
    tile = forward if mode == "forward" else backward
    step = resident_step(constants, tile, teams)
    turns = math.ceil(batch / (teams * tile["slots"]))
    return {"us": turns * step["us"], "turns": turns, "step_us": step["us"], "bound": step["bound"],
            "blocks_of_team": tile["blocks"], "units": tile["units"], "slots_of_team": tile["slots"], "teams": teams,
            "clk": step["clk"]}


def model(constants, counts):
    """Every case: policy, mode, dtype, H, B and the step."""
    return [{"policy": policy, "mode": mode, "dtype": dtype, "H": hidden, "B": batch,
             "step": batch_step(constants, counts, policy, mode, dtype, hidden, batch)}
            for mode in floors.MODES for dtype in DTYPES for hidden in floors.HIDDEN for batch in floors.BATCHES
            for policy in POLICIES]
