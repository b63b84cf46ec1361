"""Floors of one step of the recurrence on a GPU: modelled, not measured on a GPU. bench/model.py prints them.

A floor is the time for the whole batch to advance by one step, without the input projection, for H hidden units and B
sequences of equal length; with_measured puts what exchange_bench measured on a GPU in the place of the constants below.

A team of M blocks, one a multiprocessor, holds W_hh [4H, H] in registers and shared memory; teams split the batch, each
with n = ceil(B / teams) sequences, rounded up to the product's tile of 8. A step of a team, in clocks:

    step = latency + max(mma, mufu, shared, transfer)    (as if these four overlapped wholly)

    latency   the chain that no parallelism shortens: exchange + fragment + k_reduction + cell
      exchange    giving, waiting, a barrier of the block: what exchange_bench measures with one unit
      fragment    the first operand from shared memory, and the first product
      k_reduction where warps split K: a barrier, one store and one load in shared memory; else 0
      cell        activations, c and h (or their gradients)
    mma       products of a sub-core: ceil(4H / M / 16) * (H / k) * (n / 8) / 4, k = 16 in bf16 and 8 in TF32; each
              takes mma_issue_clk, or mma_latency_clk over the chains of accumulators that a sub-core has under way
    mufu      special functions of a sub-core: MUFU_OF_CELL of each of its cells, 32 at a time, mufu_issue_clk each
    shared    bytes through the block's shared memory / shared_bytes_per_clk:
              weights beyond the registers + operand [n, width] once for each of the warps that split the rows
              + partial sums [n, rows] f32, written and read, of each but one of the warps that split K
    transfer  bytes that reach a block from the others / bytes per clock of that way; measured, it has the reading too

forward:  operand h [n, H] in the weights' type; the products' rows are the block's 4H / M gates; h is exchanged.
backward: operand dgates [n, 4H / M], the block's own; rows are all H of dh; every block's partial sum of dh, f32
          [n, H], goes to the owners of its columns, who add M of them: 4 bytes a number instead of 2, and M [n, H / M]
          read once more from shared memory.

Cluster: M of 1 to 16, the best that holds the weights. Grid: M of all multiprocessors / 1 to 4 through L2; in words of
16 bytes that carry their tag (12 bytes of data), or («barrier») plainly with a barrier of the grid.
Stepwise: two kernels a step, a product and the cell: 2 * kernel_gap + the product at the rate of mma over all
multiprocessors, or of W_hh and the operands through L2 where that is longer + the cell's bytes through L2.

SPDX-License-Identifier: Apache-2.0
"""
import math

# Values of an H200 (SXM). «published»: others measured it, on an H100 or an H200; «assumed»: nobody did.
CONSTANTS = {
    "clock_ghz": 1.755,  # published: the boost clock under load
    "multiprocessors": 132,  # published
    "register_bytes": 128 * 1024,  # assumed: of the 256 KB of a multiprocessor, for weights
    "shared_weight_bytes": 200 * 1024,  # assumed: of the 227 KB of a block, for weights
    "resident_clusters": {1: 132, 2: 66, 4: 32, 8: 15, 16: 7},  # published for 8 and 16, else assumed
    "mma_issue_clk": 4 / 0.63,  # published: m16n8k16 is 2,048 of 512 multiply-adds a clock; mma.sync reaches 63 % of that
    "mma_latency_clk": 24,  # published
    "mma_chains": 8,  # assumed: accumulators of a sub-core under way
    "mufu_issue_clk": 8,  # published: 4 lanes a clock and sub-core
    "warps": 8,  # assumed: of a block
    "shared_latency_clk": 29,  # published
    "shared_bytes_per_clk": 128,  # published
    "block_barrier_clk": 30,  # assumed
    "cell_clk": 120,  # assumed: four activations in parallel, then tanh(c), each some 20 to 40 clocks
    "exchange_overhead_clk": 60,  # assumed: issue of the stores, a wait's wake-up, a barrier of the block
    "dsmem_latency_clk": 180,  # published
    "dsmem_bytes_per_clk": 14,  # assumed from 3.3 TB/s over all multiprocessors
    "l2_latency_clk": 263,  # published: near 258, far 414
    "l2_polls": 1.5,  # assumed: the poll that comes too early and the one that sees the data
    "l2_block_bytes_per_clk": 64,  # assumed: what one multiprocessor takes
    "l2_total_bytes_per_clk": 3100,  # assumed from 5.5 TB/s
    "grid_barrier_us": 1.2,  # assumed: below grid.sync's 1.88 (published), above one round trip
    "kernel_gap_us": 0.95,  # assumed: kernel after kernel inside a graph
}
SIZES = {"bf16": 2, "tf32": 4}
DEPTHS = {"bf16": 16, "tf32": 8}  # k of a product, [16, k] * [k, 8]
HIDDEN = (128, 256, 384, 512, 768, 1024, 2048)
BATCHES = (1, 16, 64, 256)
MODES = ("forward", "backward")
MUFU_OF_CELL = {"forward": 10, "backward": 2}  # 2^x and 1 / x for each of four gates and tanh(c), or for tanh(c) alone
TILE = 8


def exchange_clk(constants, policy, members):
    """Clocks of the exchange of one unit within a team of that many blocks; the barrier of «grid_barrier» included."""
    measured = constants.get("measured_exchange_clk", {}).get(policy, {})
    if members in measured:
        return measured[members]
    if members == 1:
        return constants["block_barrier_clk"]
    overhead = constants["exchange_overhead_clk"]
    if policy == "cluster":
        return constants["dsmem_latency_clk"] + overhead
    if policy == "grid_barrier":
        return constants["grid_barrier_us"] * 1e3 * constants["clock_ghz"]
    return constants["l2_latency_clk"] * (1 + constants["l2_polls"]) + overhead


def transfer_clk(constants, policy, members, teams, payload):
    """Clocks in which `payload` bytes, of all blocks of the team, reach every block of every team."""
    measured = constants.get("measured_bytes_per_clk", {}).get(policy, {})
    if members in measured:
        return payload / measured[members]
    if policy == "cluster":
        return payload * (members - 1) / members / constants["dsmem_bytes_per_clk"]
    moved = payload * 16 / 12 if policy == "grid" else payload
    rate = min(constants["l2_block_bytes_per_clk"], constants["l2_total_bytes_per_clk"] / (members * teams))
    return moved / rate


def resident_step(constants, policy, mode, dtype, hidden, batch, members, teams):
    """One step of a resident recurrence, each term in clocks; None where the weights do not fit."""
    size = SIZES[dtype]
    weight_bytes = 4 * hidden * hidden * size / members
    if weight_bytes > constants["register_bytes"] + constants["shared_weight_bytes"]:
        return None
    teams = min(teams, batch)
    slots = math.ceil(math.ceil(batch / teams) / TILE) * TILE
    gates = math.ceil(4 * hidden / members / 16) * 16
    rows, depth = (gates, hidden) if mode == "forward" else (hidden, gates)
    per_subcore = math.ceil(rows / 16 * math.ceil(depth / DEPTHS[dtype]) * (slots / TILE) / 4)
    mma = max(per_subcore * constants["mma_issue_clk"],
              math.ceil(per_subcore / constants["mma_chains"]) * constants["mma_latency_clk"])

    cells = hidden / members * slots
    mufu = math.ceil(cells / 4 / 32) * MUFU_OF_CELL[mode] * constants["mufu_issue_clk"]

    streamed = max(0.0, weight_bytes - constants["register_bytes"])
    added = hidden * slots * 4 if mode == "backward" else 0
    best = None
    for k_warps in (1, 2, 4, 8):
        operand = constants["warps"] // k_warps * slots * depth * size
        partial = 2 * (k_warps - 1) * rows * slots * 4
        shared = (streamed + operand + partial + added) / constants["shared_bytes_per_clk"]
        reduction = 0 if k_warps == 1 else constants["block_barrier_clk"] + 2 * constants["shared_latency_clk"]
        if best is None or shared + reduction < sum(best):
            best = (shared, reduction)
    shared, reduction = best

    payload = hidden * slots * (4 if mode == "backward" else size)
    terms = {
        "exchange": exchange_clk(constants, policy, members),
        "fragment": constants["shared_latency_clk"] + constants["mma_latency_clk"],
        "k_reduction": reduction,
        "cell": constants["cell_clk"],
        "mma": mma,
        "mufu": mufu,
        "shared": shared,
        "transfer": transfer_clk(constants, policy, members, teams, payload) if members > 1 else 0,
    }
    latency = terms["exchange"] + terms["fragment"] + terms["k_reduction"] + terms["cell"]
    clk = latency + max(terms[name] for name in ("mma", "mufu", "shared", "transfer"))
    return {"us": clk / constants["clock_ghz"] / 1e3, "blocks_of_team": members, "teams": teams, "slots": slots,
            "mma_of_subcore": per_subcore, "exchanged_bytes": payload, "clk": terms}


def stepwise_step(constants, mode, dtype, hidden, batch):
    """A step as two kernels: the product, and the cell."""
    size = SIZES[dtype]
    slots = math.ceil(batch / TILE) * TILE
    products = 4 * hidden / 16 * (hidden / DEPTHS[dtype]) * (slots / TILE)
    mma = products / 4 / constants["multiprocessors"] * constants["mma_issue_clk"]
    operand, result = (hidden, 4 * hidden) if mode == "forward" else (4 * hidden, hidden)
    product_bytes = 4 * hidden * hidden * size + batch * (operand * size + result * 4)
    # Forward the cell reads 4 gates, their projections and c, and writes c, h and 4 gates; backward is the same, turned.
    cell_bytes = batch * hidden * 4 * (4 + 4 + 1 + 2 + 4)
    terms = {"kernel_gaps": 2 * constants["kernel_gap_us"] * 1e3 * constants["clock_ghz"], "mma": mma,
             "product_l2": product_bytes / constants["l2_total_bytes_per_clk"],
             "cell_l2": cell_bytes / constants["l2_total_bytes_per_clk"]}
    clk = terms["kernel_gaps"] + max(terms["mma"], terms["product_l2"]) + terms["cell_l2"]
    return {"us": clk / constants["clock_ghz"] / 1e3, "clk": terms}


def teams_of(constants, policy):
    """Blocks of a team and how many such teams there are: every way that a policy has."""
    if policy == "cluster":
        return [(members, count) for members, count in constants["resident_clusters"].items() if count > 0]
    return [(constants["multiprocessors"] // count, count) for count in (1, 2, 3, 4)]


def best_step(constants, policy, mode, dtype, hidden, batch):
    """The policy's step with the team that makes it shortest; None where no team holds the weights."""
    if policy == "stepwise":
        return stepwise_step(constants, mode, dtype, hidden, batch)
    steps = [resident_step(constants, policy, mode, dtype, hidden, batch, *team) for team in teams_of(constants, policy)]
    return min((step for step in steps if step), key=lambda step: step["us"], default=None)


def model(constants):
    """Every case: policy, mode, dtype, H, B and the step."""
    return [{"policy": policy, "mode": mode, "dtype": dtype, "H": hidden, "B": batch,
             "step": best_step(constants, policy, mode, dtype, hidden, batch)}
            for mode in MODES for hidden in HIDDEN for dtype in SIZES for batch in BATCHES
            for policy in ("cluster", "grid", "grid_barrier", "stepwise")]


def with_measured(constants, exchange):
    """The constants with what an exchange.json has in their place. Its figures are medians."""
    figures = [figure for figure in exchange["figures"] if "median" in figure]

    def pick(what, **where):
        found = [f for f in figures if f["what"] == what and all(f.get(key) == value for key, value in where.items())]
        return found[0]["median"] if found else None

    result = dict(constants)
    result["multiprocessors"] = int(exchange["device"].get("multiprocessors", constants["multiprocessors"]))
    result["clock_ghz"] = pick("multiprocessor clock") or constants["clock_ghz"]
    gap = pick("kernel after kernel, graph", blocks=result["multiprocessors"])
    result["kernel_gap_us"] = gap / 1e3 if gap else constants["kernel_gap_us"]
    result["resident_clusters"] = {1: result["multiprocessors"]}
    result["measured_exchange_clk"] = {"cluster": {}, "grid": {}, "grid_barrier": {}}
    result["measured_bytes_per_clk"] = {"cluster": {}, "grid": {}, "grid_barrier": {}}

    def take(policy, members, what, unit_ns, hidden, slots, teams):
        """The exchange of one unit, and from the largest step the bytes that each further clock brings."""
        largest = pick(what, team=members, teams=teams, H=hidden, slots=slots)
        if not unit_ns:
            return
        result["measured_exchange_clk"][policy][members] = unit_ns * result["clock_ghz"]
        if largest and largest > unit_ns:
            rate = hidden * slots * 2 / ((largest - unit_ns) * result["clock_ghz"])
            result["measured_bytes_per_clk"][policy][members] = rate

    for size in (2, 4, 8, 16):
        clusters = pick("resident clusters", cluster=size, shared_kib=200)
        clusters = constants["resident_clusters"][size] if clusters is None else int(clusters)
        result["resident_clusters"][size] = clusters
        push = pick("cluster push", team=size, teams=1, bytes_of_block=8)
        busy = max((f["teams"] for f in figures if f["what"] == "cluster push" and f["team"] == size), default=1)
        take("cluster", size, "cluster push", push, 512, 32, busy)
    tags = pick("L2 tags", team=2, bytes_of_block=16)
    for count in (1, 2, 3, 4):
        members = result["multiprocessors"] // count
        take("grid", members, "L2 tags", tags, 1024, 32, count)
        barrier = pick("grid barrier", team=members, teams=count, bytes_of_block=0)
        take("grid_barrier", members, "grid barrier", barrier, 1024, 32, count)
    return result
