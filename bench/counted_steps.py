"""A step of the library's own recurrence on a GPU, from counts of its kernels: modelled, not measured on a GPU.

The tiles are those of kernels/selection/resident_tiles.h, as counts.json lists them with their counts of a block and
step in the emulator, all slots busy, forward saving for backward; and with what a warp issues in a step, by nvcc's machine
code (kernels/recurrence/resident/bounds.csv, which static_cycles writes). A step of a resident team, in clocks:

    step = exchange + barriers + fragment + k_reduction + cell + parts + loads
           + max(stalls, issue, product, mufu, shared, transfer, device)

    exchange    what one unit takes from block to block: floors.exchange_clk
    barriers    barriers of the block in the machine code * block_barrier_clk
    fragment    a load from shared memory; the products' latencies are in stalls
    k_reduction where the depth is split, forward: a store and a load in shared memory (its barrier is counted)
    cell        four special functions forward, one after the other (a gate's and tanh(c)'s), two backward; arithmetic in
                between is in stalls
    parts       backward: a load of parts of dh from shared memory; with the grid, of sums of parts
    loads       rounds of loads of device memory on which their own step waits, in the machine code, a latency of L2 each;
                less, where a step does other work meanwhile. The grid's first round is that of the exchange
    stalls      clocks for which a warp waits by the machine code before it issues its next instruction: fixed latencies
    issue       instructions of a sub-core's warps, in the machine code, one a clock
    product     of a sub-core's warps: mma_issue_clk each; on the CUDA cores (F32) fused multiply-adds, one a clock
    mufu        special functions of a sub-core's warps, in the machine code: mufu_issue_clk each
    shared      bytes that lanes read and write in the block's shared memory, counted / shared_bytes_per_clk; lanes that
                read one address count each, so for F32 (4 lanes share a weight, 8 a state) this is an upper bound
    transfer    cluster: bytes pushed to or from other blocks, counted: floors.transfer_clk
    device      bytes that lanes read and write in device memory, counted, / what L2 gives a block; the schedule's entries,
                which many threads of a slot read, once a slot; and with the grid the exchange's, by the tile's shape,
                because the emulator does not count the accesses that poll

Stepwise has no such counts: see stepwise_steps.py.

SPDX-License-Identifier: Apache-2.0
"""
import math

import floors
import stepwise_steps

# Beside those of floors.py.
CONSTANTS = {
    "shared_limit_bytes": 227 * 1024,  # published: of a block
    "mufu_latency_clk": 22,  # assumed: until a special function's result is there
}
POLICIES = ("cluster", "grid", "stepwise")
REFERENCE_BATCH = (64, 1, 64)  # B, T, N for which select_recurrence compares policies
DTYPES = ("bf16", "tf32", "f32")


def resident_teams(constants, tile):
    """Teams of one direction that are resident at a time: as in recurrence_selection.h, with the constants' device."""
    if tile["policy"] == "grid":
        return constants["multiprocessors"] // tile["blocks"]
    return constants["resident_clusters"][tile["blocks"]]


def pairs_of_tiles(tiles):
    """(forward, backward) of every tile, in their order."""
    names = ("policy", "math", "H", "units", "slots")
    backward = {tuple(tile[name] for name in names): tile for tile in tiles if tile["mode"] == "backward"}
    return [(tile, backward[tuple(tile[name] for name in names)]) for tile in tiles if tile["mode"] == "forward"]


def modelled_steps(batch, slots):
    """modelled_steps of recurrence_selection.h; batch: B, T and N."""
    sequences, longest, tokens = batch
    return max(longest, math.ceil(sequences / slots) * math.ceil(tokens / sequences), 1)


def choose_tile(constants, counts, policy, dtype, hidden, batch):
    """(forward's tile, backward's, teams, modelled clocks) of a batch (B, T, N) as choose_tile of recurrence_selection.h;
    None where illegal."""
    pairs = [pair for pair in pairs_of_tiles(counts["tiles"])
             if (pair[0]["policy"], pair[0]["math"]) == (policy, dtype) and pair[0]["H"] >= hidden]
    limit = constants["shared_limit_bytes"]
    chosen = None
    for forward, backward in pairs:
        if forward["H"] != pairs[0][0]["H"]:
            break
        teams = resident_teams(constants, forward)
        if teams < 1 or max(forward["shared_bytes"], backward["shared_bytes"]) > limit:
            continue
        teams = min(math.ceil(batch[0] / forward["slots"]), teams)
        clocks = modelled_steps(batch, teams * forward["slots"]) * sum(
            step_clocks(constants, tile, teams) for tile in (forward, backward))
        if chosen is None or clocks < chosen[3]:
            chosen = (forward, backward, teams, clocks)
    return chosen


def select_policy(constants, counts, dtype, hidden):
    """The policy that select_recurrence of recurrence_selection.h takes for one direction."""
    chosen = {policy: choose_tile(constants, counts, policy, dtype, hidden, REFERENCE_BATCH)
              for policy in ("cluster", "grid")}
    legal = [policy for policy in chosen if chosen[policy]]
    return min(legal, key=lambda policy: chosen[policy][3]) if legal else "stepwise"


def with_machine_code(counts, rows):
    """The counts with «machine_code» in every tile: its row of bounds.csv (static_cycles.bounds.numbers)."""
    names = ("policy", "math", "H", "units", "slots", "splits")
    by_tile = {(row["pass"], *(row[name] for name in names)): row for row in rows if row["cell"] == "lstm"}
    splits = {tuple(tile[name] for name in names[:-1]): tile["splits"] for tile in counts["tiles"]
              if tile["mode"] == "forward"}  # backward has one split, whatever its tile has

    def row_of(tile):
        shape = tuple(tile[name] for name in names[:-1])
        key = (tile["mode"], *shape, splits[shape])
        if key not in by_tile:
            raise ValueError("bounds.csv has no row for " + " ".join(map(str, key)))
        return by_tile[key]

    return {**counts, "tiles": [{**tile, "machine_code": row_of(tile)} for tile in counts["tiles"]]}


def exchange_clk(constants, tile):
    """Of one unit from block to block; with measured figures those of the team that is nearest in size."""
    members = tile["blocks"]
    if members == 1:
        return 0  # a barrier of the block, which is counted
    measured = constants.get("measured_exchange_clk", {}).get(tile["policy"])
    if measured:
        members = min(measured, key=lambda size: abs(size - members))
    return floors.exchange_clk(constants, tile["policy"], members)


def warps_of_subcore(tile):
    return math.ceil(tile["threads"] / 32 / 4)


def product_clk(constants, tile):
    if tile["math"] == "f32":
        multiply_adds = 4 * tile["units"] * tile["H"] * tile["slots"]
        return multiply_adds / tile["threads"] * warps_of_subcore(tile)
    return tile["machine_code"]["mma"] * warps_of_subcore(tile) * constants["mma_issue_clk"]


def entries_read(tile):
    """Entries of the schedule that the threads of a block read in a step. Forward, each those of two slots of a slot tile,
    whether its warp owns it or not; backward, each its own, which two units share where there are enough cells."""
    if tile["mode"] == "forward":
        return 2 * tile["threads"] * math.ceil(tile["slots"] / 8 / tile["splits"])
    return max(tile["threads"], tile["units"] * tile["slots"] // 2)


def exchanged_bytes(tile):
    """What a block of the grid loads and stores in device memory to exchange. Forward it loads the states of all units, and
    stores its own and «nothing yet»; backward it loads and stores a part for each source and owner."""
    if tile["policy"] != "grid":
        return 0
    if tile["mode"] == "forward":
        return (2 if tile["math"] == "bf16" else 4) * tile["slots"] * (tile["H"] + 2 * tile["units"])
    return 2 * 4 * tile["slots"] * tile["H"]


def device_bytes(tile):
    counted = tile["per_step"]
    schedule = 16 * (entries_read(tile) - tile["slots"])  # one entry a slot is enough
    return counted["device_bytes_read"] + counted["device_bytes_written"] - schedule + exchanged_bytes(tile)


def device_clk(constants, tile, teams):
    rate = min(constants["l2_block_bytes_per_clk"], constants["l2_total_bytes_per_clk"] / (tile["blocks"] * teams))
    return device_bytes(tile) / rate


def resident_step(constants, tile, teams):
    """One step of all resident teams, each term in clocks."""
    counted, code = tile["per_step"], tile["machine_code"]
    forward, pushed = tile["mode"] == "forward", counted["pushed_bytes"]
    chain = {
        "exchange": exchange_clk(constants, tile),
        "barriers": code["bar"] * constants["block_barrier_clk"],
        "fragment": constants["shared_latency_clk"],
        "k_reduction": 2 * constants["shared_latency_clk"] if tile["splits"] > 1 else 0,
        "cell": (4 if forward else 2) * constants["mufu_latency_clk"],
        "parts": 0 if forward else constants["shared_latency_clk"],
        "loads": max(0, code["load_rounds"] - (tile["policy"] == "grid")) * constants["l2_latency_clk"],
    }
    overlapped = {
        "stalls": code["stalls"],
        "issue": code["instructions"] * warps_of_subcore(tile),
        "product": product_clk(constants, tile),
        "mufu": code["mufu"] * warps_of_subcore(tile) * constants["mufu_issue_clk"],
        "shared": (counted["shared_bytes_read"] + counted["shared_bytes_written"]) / constants["shared_bytes_per_clk"],
        "transfer": floors.transfer_clk(constants, "cluster", tile["blocks"], teams, pushed) if pushed else 0,
        "device": device_clk(constants, tile, teams),
    }
    clk = sum(chain.values()) + max(overlapped.values())
    return {"us": clk / constants["clock_ghz"] / 1e3, "bound": max(overlapped, key=overlapped.get),
            "chain_clk": sum(chain.values()), "clk": {**chain, **overlapped}}


def step_figures(constants, tile):
    """What kernels/selection/step_clocks.h has of a tile: clocks of the chain, the longest of the rest but «device», and
    the bytes of that."""
    step = resident_step(constants, tile, 1)
    work = max(step["clk"][name] for name in ("stalls", "issue", "product", "mufu", "shared", "transfer"))
    return round(step["chain_clk"]), round(work), round(device_bytes(tile))


def step_clocks(constants, tile, teams):
    """Whole clocks of a step with so many teams, as step_clocks of recurrence_selection.h computes them."""
    chain, work, moved = step_figures(constants, tile)
    of_all = moved * tile["blocks"] * teams // constants["l2_total_bytes_per_clk"]
    return chain + max(work, moved // constants["l2_block_bytes_per_clk"], of_all)


def batch_step(constants, counts, policy, mode, dtype, hidden, batch):
    """The whole batch, of equal lengths, one step further: as many turns of a step as the batch has slots; or None."""
    if policy == "stepwise":
        return {**stepwise_steps.stepwise_step(constants, mode, dtype, hidden, batch), "turns": 1}
    chosen = choose_tile(constants, counts, policy, dtype, hidden, (batch, 1, batch))
    if chosen is None:
        return None
    forward, backward, teams, _ = chosen
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
