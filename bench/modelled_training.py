"""One training step of one LSTM layer, I = H, one direction, on lengths that differ: modelled, not measured on a GPU.

    total = launches + weights + forward's steps + backward's steps + GEMMs

    steps     the schedule's makespan, by the greedy of kernels/recurrence/schedule/slot_schedule.cu, times a step of
              counted_steps.py; stepwise: the sum over t of its step for the sequences that are still active. In 16 bits a
              pass of any policy runs by wide teams (wide_steps.py; streamed_steps.py at H = 2048) where is_wide_faster of
              wide_selection.h says so, in TF32 one of the tiles of H = 256 and 1024, and one of stepwise, if it is what the
              library selects by itself
    weights   W_hh arranged once a pass (read and written through L2) and loaded by each block
    launches  of a pass: those that count_recurrence counts, the schedule's two, one for empty sequences; by wide teams
              one, and backward one more, which checks the reserve
    GEMMs     x W_ih forward and dx backward, of tokens, on the library's own tiles; dW_ih and dW_hh, by cuBLAS: each 8 N H H
              operations, and no less than a launch
    floor     the same GEMMs, and the floors' steps over the makespan of their own slots; the best of all ways
    gemm_and_pointwise  the same GEMMs, and two kernels for each step of the sequences that are still active (floors.py):
              cuDNN's way for lengths that differ

Left out: embedding, packing, biases, the loss, the optimiser, dropout, and whatever the host does.
SPDX-License-Identifier: Apache-2.0
"""
import heapq
import math

import counted_steps
import floors
import stepwise_steps
import streamed_steps
import wide_steps
from peers.problems import draw_lengths

CONSTANTS = {
    "peak_tflops": {"bf16": 989.0, "tf32": 494.5, "f32": 66.9},  # published, dense
    "gemm_share": 0.6,  # of the peak, for cuBLAS and for F32, which has no tensor cores: assumed
    "launches_beside": 3,  # of a pass: read from the source
}
LENGTHS = ("ewt", "lognormal")  # as bench/lstm_driver/lengths.h describes them
BATCHES = (16, 64, 256)
SEED = 1


def makespan(lengths, slots):
    """Steps of the fullest slot: the longest sequence left goes to the slot with the least load."""
    loads = [0] * slots
    for length in sorted(lengths, reverse=True):
        heapq.heapreplace(loads, loads[0] + length)
    return max(loads)


def active(lengths):
    """b_t: sequences longer than t, for t from 0."""
    return [sum(length > t for length in lengths) for t in range(max(lengths))]


# Rows, columns, and the blocks of a cluster that share the tile, as kernels/selection/gemm_selection.h has them. Tiles of
# two blocks have no TF32 whose B is not transposed.
GEMM_TILES = ((64, 64, 1), (128, 128, 1), (128, 256, 1), (256, 256, 2))


def own_gemm_us(constants, dtype, m, n, k, transpose_b):
    """A product on the library's own tiles of tensor cores: waves of blocks, one on each multiprocessor. For each value of k
    a block loads its part of rows + columns elements from L2, whose bytes all multiprocessors share, while tensor cores
    multiply."""
    multiprocessors = constants["multiprocessors"]

    def waves(tile):
        rows, columns, blocks = tile
        return math.ceil(math.ceil(m / rows) * math.ceil(n / columns) * blocks / multiprocessors)

    def elements(tile):
        return (tile[0] + tile[1]) / tile[2]

    legal = [tile for tile in GEMM_TILES if tile[2] == 1 or transpose_b or stepwise_steps.SIZES[dtype] == 2]
    tile = min(legal, key=lambda tile: waves(tile) * elements(tile))
    loads = elements(tile) * stepwise_steps.SIZES[dtype] * multiprocessors / constants["l2_total_bytes_per_clk"]
    operations = 2 * tile[0] * tile[1] / tile[2] * multiprocessors
    products = operations / (constants["peak_tflops"][dtype] * 1e3 / constants["clock_ghz"])
    return waves(tile) * k * max(loads, products) / constants["clock_ghz"] / 1e3


def gemm_us(constants, dtype, hidden, tokens):
    """The four GEMMs of a training step."""
    rate = constants["peak_tflops"][dtype] * constants["gemm_share"] * 1e6  # operations a microsecond
    times = [8 * tokens * hidden * hidden / rate] * 4
    if dtype != "f32":
        times[:2] = (own_gemm_us(constants, dtype, tokens, 4 * hidden, hidden, True),
                     own_gemm_us(constants, dtype, tokens, hidden, 4 * hidden, False))
    return sum(max(time, constants["kernel_gap_us"]) for time in times)


def weights_us(constants, dtype, hidden, blocks):
    """W_hh into the team's order and into its blocks, once."""
    size = 4 * hidden * hidden * stepwise_steps.SIZES[dtype]
    clk = 2 * size / constants["l2_total_bytes_per_clk"] + size / blocks / constants["l2_block_bytes_per_clk"]
    return clk / constants["clock_ghz"] / 1e3


def wide_terms(constants, policy, mode, dtype, hidden, lengths):
    """Microseconds of (steps, launches, weights) of a pass by wide teams, and their modelled clocks as is_wide_faster of
    wide_selection.h counts them; None where the policy has none."""
    if dtype not in streamed_steps.OF_GRID:
        return None
    if policy == "grid" and hidden in streamed_steps.OF_GRID[dtype] and streamed_steps.has(dtype, mode, hidden):
        return streamed_terms(constants, dtype, mode, hidden, lengths)
    way, batch = wide_steps.way_of(policy, mode, dtype), (len(lengths), max(lengths), sum(lengths))
    chosen = wide_steps.choose_teams(constants, way, hidden, batch) if way else None
    if chosen is None:
        return None
    teams, _, step, clocks = chosen
    return {"steps": makespan(lengths, teams * wide_steps.SLOTS) * step / constants["clock_ghz"] / 1e3,
            "launches": (1 + (mode == "backward") + constants["launches_beside"]) * constants["kernel_gap_us"],
            "weights": weights_us(constants, dtype, hidden, hidden // wide_steps.units_of(way)), "clocks": clocks}


def resident_terms(constants, counts, policy, dtype, hidden, lengths):
    batch = (len(lengths), max(lengths), sum(lengths))
    chosen = counted_steps.choose_tile(constants, counts, policy, dtype, hidden, batch)
    if chosen is None:
        return None
    *tiles, teams, _ = chosen
    slots = teams * tiles[0]["slots"]
    steps = makespan(lengths, slots)
    terms = {"steps": steps, "launches": 0.0, "weights": 0.0, "wide": []}
    for tile in tiles:
        wide = wide_terms(constants, policy, tile["mode"], dtype, hidden, lengths)
        if wide and wide["clocks"] < (counted_steps.modelled_steps(batch, slots)
                                      * counted_steps.step_clocks(constants, tile, teams)):
            terms["wide"].append(tile["mode"])
            terms["launches"] += wide["launches"]
            terms["weights"] += wide["weights"]
            terms[tile["mode"]] = wide["steps"]
            continue
        launches = tile["once"]["launches"] + constants["launches_beside"]
        terms["launches"] += launches * constants["kernel_gap_us"]
        terms["weights"] += weights_us(constants, dtype, hidden, tile["blocks"])
        terms[tile["mode"]] = steps * counted_steps.resident_step(constants, tile, teams)["us"]
    return terms


def streamed_terms(constants, dtype, mode, hidden, lengths):
    """The same by wide teams that stream their weights; the launches include the one that arranges these."""
    batch = (len(lengths), max(lengths), sum(lengths))
    teams, slots, step, clocks = streamed_steps.choose_teams(constants, dtype, mode, hidden, batch)
    return {"steps": makespan(lengths, teams * slots) * step / constants["clock_ghz"] / 1e3,
            "launches": (2 + (mode == "backward") + constants["launches_beside"]) * constants["kernel_gap_us"],
            "weights": weights_us(constants, dtype, hidden, hidden // wide_steps.UNITS), "clocks": clocks}


def stepwise_terms(constants, dtype, hidden, lengths, selected):
    """A launch for each step, as who asks for stepwise gets it; in a pass of the library's own choice, `selected`, wide teams
    that stream their weights, where they are faster."""
    widths = active(lengths)
    terms = {"steps": len(widths), "launches": 0.0, "weights": 0.0, "wide": []}
    for mode in floors.MODES:
        if selected and dtype == "tf32" and streamed_steps.is_faster(constants, mode, hidden,
                                                                      (len(lengths), max(lengths), sum(lengths))):
            terms["wide"].append(mode)
            of_pass = streamed_terms(constants, dtype, mode, hidden, lengths)
            terms["launches"] += of_pass["launches"]
            terms["weights"] += of_pass["weights"]
            terms[mode] = of_pass["steps"]
            continue
        terms["launches"] += constants["launches_beside"] * constants["kernel_gap_us"]
        steps = {width: stepwise_steps.stepwise_step(constants, mode, dtype, hidden, width) for width in set(widths)}
        terms[mode] = sum(steps[width]["us"] for width in widths)
    return terms


def cudnn_way_us(constants, dtype, hidden, lengths):
    """Recurrence alone, forward and backward, as a GEMM and a pointwise kernel for each step; None where the floors have no
    such dtype."""
    if dtype not in floors.SIZES:
        return None
    return sum(floors.stepwise_step(constants, mode, dtype, hidden, width)["us"]
               for mode in floors.MODES for width in active(lengths))


def floor_us(constants, dtype, hidden, lengths):
    """Recurrence alone, forward and backward, of the best of the floors' ways with the best number of slots; None where
    they have no such dtype."""
    if dtype not in floors.SIZES:
        return None
    widths = active(lengths)
    best = cudnn_way_us(constants, dtype, hidden, lengths)
    spans = {}
    for policy in ("cluster", "grid", "grid_barrier"):
        for members, teams in floors.teams_of(constants, policy):
            rounds = range(teams * floors.TILE, len(lengths) + teams * floors.TILE, teams * floors.TILE)
            for slots in {len(lengths), *rounds}:
                steps = [floors.resident_step(constants, policy, mode, dtype, hidden, slots, members, teams)
                         for mode in floors.MODES]
                if all(steps):
                    spans[slots] = spans.get(slots) or makespan(lengths, slots)
                    best = min(best, spans[slots] * sum(step["us"] for step in steps))
    return best


def training_step(constants, counts, dtype, hidden, batch, text):
    """Each policy's terms in microseconds (None where it is illegal), with the floor of the whole."""
    lengths = draw_lengths(text, batch, SEED)
    gemms = gemm_us(constants, dtype, hidden, sum(lengths))
    case = {"dtype": dtype, "H": hidden, "B": batch, "lens": text, "tokens": sum(lengths), "T": max(lengths),
            "policies": {}, "selected": counted_steps.select_policy(constants, counts, dtype, hidden)}
    for policy in counted_steps.POLICIES:
        terms = (stepwise_terms(constants, dtype, hidden, lengths, case["selected"] == policy) if policy == "stepwise"
                 else resident_terms(constants, counts, policy, dtype, hidden, lengths))
        if terms is not None:
            terms["gemms"] = gemms
            terms["total"] = sum(value for name, value in terms.items() if name not in ("steps", "wide"))
        case["policies"][policy] = terms
    recurrence = floor_us(constants, dtype, hidden, lengths)
    case["floor"] = None if recurrence is None else recurrence + gemms
    cudnn_way = cudnn_way_us(constants, dtype, hidden, lengths)
    case["gemm_and_pointwise"] = None if cudnn_way is None else cudnn_way + gemms
    return case


def model(constants, counts):
    return [training_step(constants, counts, dtype, hidden, batch, text)
            for dtype in counted_steps.DTYPES for text in LENGTHS for hidden in floors.HIDDEN for batch in BATCHES]
