"""A step of the stepwise recurrence on a GPU, from its source and machine code: modelled, not measured on a GPU.

A launch for each step. On the CUDA cores (F32) a block has 16 ranks x 16 units; on tensor cores (16 bits, TF32) a small
tile like that, or a wide one, which four blocks of a cluster share where there are few (kernels/recurrence/stepwise/,
kernels/selection/step_selection.h). In clocks, of tensor cores:

    step = kernel_gap + begin + max(issue, product, shared, l2, alone) + parts + end

    begin    plan, rows and first weights of a block: three latencies of L2, one after the other
    issue    instructions of a sub-core's warps, one a clock: of turns of 64 bytes of the depth, and of units, both counted
             by hand in nvcc 13.0's machine code for sm_90a
    product  products of a multiprocessor / 4, mma_issue_clk each
    shared   bytes of stages, written once and read by the warps, / shared_bytes_per_clk
    l2       weights and values that blocks read, from L2: of all blocks, or what one multiprocessor takes
    alone    turns of a block, one after the other: a barrier, a load from shared memory and two products each
    parts    shared tiles: the sums of the three other blocks for a quarter of the ranks, through dsmem_bytes_per_clk, and
             two barriers of the cluster, each a latency of distributed shared memory
    end      rounds in which a wide tile's units ask for their gates and states, a latency of L2 each; and the cell

SPDX-License-Identifier: Apache-2.0
"""
import math

# Beside those of floors.py.
CONSTANTS = {
    "stepwise_tile": 16,  # ranks and units of a small block
    "stepwise_wide_ranks": 64,
    "stepwise_wide_units": {"forward": 32, "backward": 128},
    "stepwise_blocks_of_multiprocessor": {"cuda_cores": 8, "tensor_cores": 2},  # by registers
    # Counted: instructions of a warp in a turn (small, wide), and of 32 units' step.
    "stepwise_turn": {"forward": {"bf16": (142, 116), "tf32": (209, 205)},
                      "backward": {"bf16": (132, 135), "tf32": (143, 220)}},
    "stepwise_units": {"forward": 200, "backward": 250},
}
SIZES = {"bf16": 2, "tf32": 4, "f32": 4}
PARTS = 4  # of the depth, and blocks that share a tile
WARPS = 8


def is_wide(constants, hidden, batch):
    """As is_wide_step of step_selection.h."""
    tile = constants["stepwise_tile"]
    return batch > tile and math.ceil(batch / tile) * math.ceil(hidden / tile) > constants["multiprocessors"]


def shares_tiles(constants, mode, hidden, batch):
    """As shares_wide_tiles there."""
    tiles = (math.ceil(batch / constants["stepwise_wide_ranks"])
             * math.ceil(hidden / constants["stepwise_wide_units"][mode]))
    return 2 * tiles <= constants["multiprocessors"]


def on_tensor_cores(constants, mode, dtype, hidden, batch, ranks, units, wide, shared):
    """A step with such tiles, each term in clocks."""
    size = SIZES[dtype]
    depth, lines = (hidden, 4 * units) if mode == "forward" else (4 * hidden, units)
    chunk = 64 // size
    turns = math.ceil(depth / chunk / PARTS) * (PARTS if wide and not shared else 1)
    sharing = PARTS if shared else 1
    blocks = math.ceil(batch / ranks) * math.ceil(hidden / units) * sharing
    of_multiprocessor = math.ceil(blocks / constants["multiprocessors"])
    waves = math.ceil(of_multiprocessor / constants["stepwise_blocks_of_multiprocessor"]["tensor_cores"])
    block_bytes = depth / sharing * size * (lines + min(ranks, batch))
    # Of a block's warps in a turn: 4 x 2 rectangles of a wide tile; of a small one 2 x 1 in each of four parts.
    read = 2 * lines + 4 * ranks if wide else PARTS * (lines + 2 * ranks)
    stage = (lines + ranks) * (1 if wide else PARTS)
    turn = constants["stepwise_turn"][mode][dtype][1 if wide else 0]
    units_clk = ranks * units / sharing / 32 * constants["stepwise_units"][mode] / 4
    mma = lines / 16 * ranks / 8 * depth / sharing / (16 if size == 2 else 8)
    latency = constants["l2_latency_clk"]
    asked = math.ceil(ranks * units / sharing / 256 / 4) if wide else 0
    parts = (PARTS - 1) / PARTS * ranks * lines * 4 / constants["dsmem_bytes_per_clk"] + 2 * constants["dsmem_latency_clk"]
    terms = {
        "kernel_gap": constants["kernel_gap_us"] * 1e3 * constants["clock_ghz"],
        "begin": 3 * latency,
        "issue": of_multiprocessor * (turns * turn * WARPS / 4 + units_clk),
        "product": of_multiprocessor * mma / 4 * constants["mma_issue_clk"],
        "shared": of_multiprocessor * turns * (read + stage) * 64 / constants["shared_bytes_per_clk"],
        "l2": max(blocks * block_bytes / constants["l2_total_bytes_per_clk"],
                  of_multiprocessor * block_bytes / constants["l2_block_bytes_per_clk"]),
        "alone": waves * turns * (constants["block_barrier_clk"] + constants["shared_latency_clk"]
                                  + 2 * constants["mma_latency_clk"]),
        "parts": of_multiprocessor * parts if shared else 0,
        "end": waves * asked * latency + constants["cell_clk"],
    }
    longest = max(terms[name] for name in ("issue", "product", "shared", "l2", "alone"))
    clk = terms["kernel_gap"] + terms["begin"] + longest + terms["parts"] + terms["end"]
    return {"us": clk / constants["clock_ghz"] / 1e3, "clk": terms}


def on_cuda_cores(constants, mode, hidden, batch):
    """Each 32 of the depth are loaded (a latency of L2, two barriers, one of shared memory), then multiplied: of 4 bytes
    from shared memory, a thread reads 5 for 4 multiply-adds forward (depth H), 2 for one backward (depth 4H). Blocks of one
    multiprocessor share its shared memory and hide each other's loads. W_hh comes through L2 once for each 16 ranks."""
    tile = constants["stepwise_tile"]
    blocks = math.ceil(batch / tile) * math.ceil(hidden / tile)
    depth, words = (hidden, 5) if mode == "forward" else (4 * hidden, 2)
    load = constants["l2_latency_clk"] + 2 * constants["block_barrier_clk"] + constants["shared_latency_clk"]
    multiply = 256 * 4 * words / constants["shared_bytes_per_clk"]  # of one of the depth
    of_multiprocessor = math.ceil(blocks / constants["multiprocessors"])
    waves = math.ceil(of_multiprocessor / constants["stepwise_blocks_of_multiprocessor"]["cuda_cores"])
    terms = {"kernel_gap": constants["kernel_gap_us"] * 1e3 * constants["clock_ghz"],
             "alone": waves * depth * (load / 32 + multiply), "shared": of_multiprocessor * depth * multiply,
             "weights_l2": math.ceil(batch / tile) * 4 * hidden * hidden * 4 / constants["l2_total_bytes_per_clk"]}
    clk = terms["kernel_gap"] + max(terms["alone"], terms["shared"], terms["weights_l2"]) + constants["cell_clk"]
    return {"us": clk / constants["clock_ghz"] / 1e3, "clk": terms}


def stepwise_step(constants, mode, dtype, hidden, batch):
    """One launch for all sequences of the batch."""
    if dtype == "f32":
        return on_cuda_cores(constants, mode, hidden, batch)
    if is_wide(constants, hidden, batch):
        tile = constants["stepwise_wide_ranks"], constants["stepwise_wide_units"][mode]
        shared = shares_tiles(constants, mode, hidden, batch)
        return on_tensor_cores(constants, mode, dtype, hidden, batch, *tile, True, shared)
    tile = constants["stepwise_tile"], constants["stepwise_tile"]
    return on_tensor_cores(constants, mode, dtype, hidden, batch, *tile, False, False)
