#!/usr/bin/env python3
"""The floors, the steps and the training steps that bench/model.py prints, against counts by hand, what it takes from an
exchange.json, and the report in results/modelled against the present model.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import tempfile
import unittest
from unittest import mock

import counted_steps
import floors
import model
import model_change
import modelled_training
import selection_clocks
import stepwise_steps
import streamed_steps
import wide_steps

CONSTANTS = {**floors.CONSTANTS, **counted_steps.CONSTANTS, **stepwise_steps.CONSTANTS, **wide_steps.CONSTANTS,
             **modelled_training.CONSTANTS}
REPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "modelled")


def tile(**changes):
    """A row of counts.json: forward in bf16, a cluster of 4 blocks with 64 units and 8 slots each."""
    counted = {"pushed_bytes": 4096, "shared_bytes_read": 32768, "shared_bytes_written": 4096,
               "device_bytes_read": 16384, "device_bytes_written": 11264}
    code = {"instructions": 400, "stalls": 1000, "load_rounds": 0, "mma": 32, "mufu": 20, "bar": 0}
    row = {"policy": "cluster", "math": "bf16", "mode": "forward", "H": 256, "units": 64, "blocks": 4, "slots": 8,
           "splits": 1, "threads": 256, "shared_bytes": 8608, "per_step": counted, "once": {"launches": 2},
           "machine_code": code}
    row.update({name: value for name, value in changes.items() if name in row})
    row["per_step"] = {**counted, **{name: value for name, value in changes.items() if name in counted}}
    row["machine_code"] = {**code, **{name: value for name, value in changes.items() if name in code}}
    return row


def pair(**changes):
    return [tile(mode=mode, **changes) for mode in floors.MODES]


def exchange_file(**medians):
    """An exchange.json of a device of 4 multiprocessors at 1 GHz with those figures, in ns."""
    figures = [{"what": "multiprocessor clock", "median": 1.0}]
    where = {
        "unit": {"what": "cluster push", "team": 2, "teams": 1, "bytes_of_block": 8},
        "largest": {"what": "cluster push", "team": 2, "teams": 1, "bytes_of_block": 16384, "H": 512, "slots": 32},
        "gap": {"what": "kernel after kernel, graph", "blocks": 4},
        "resident": {"what": "resident clusters", "cluster": 2, "shared_kib": 200},
    }
    figures += [dict(where[name], median=value) for name, value in medians.items()]
    return {"device": {"multiprocessors": "4"}, "figures": figures}


class WideStepsTest(unittest.TestCase):
    def test_work_of_a_product(self):
        # At H = 1024 a team's product is 64 blocks of 16 of k; wgmma reads 128 KB of states and of weights each, and the
        # copies write 128 KB: 384 KB at 128 bytes a clock. Backward it is a quarter of 4,096 gates: as many.
        for way in ("forward", "backward", "backward_of_grid"):
            terms = wide_steps.terms(CONSTANTS, way, 1024)
            self.assertEqual(terms["product"], 2048)
            self.assertEqual(terms["shared"], 3072)
            self.assertEqual(wide_steps.step_figures(CONSTANTS, way, 1024)[1], 3072)
        # In TF32 states have twice the bytes, and a block has half the weights: 256, 128 and 256 KB.
        terms = wide_steps.terms(CONSTANTS, wide_steps.TF32, 1024)
        self.assertEqual((terms["product"], terms["shared"]), (2048, 5120))
        # A block pushes three quarters of its 64 x 64 sums in f32.
        self.assertEqual(wide_steps.terms(CONSTANTS, "backward", 1024)["parts"], 3 * 4096 / 14)
        self.assertEqual(wide_steps.terms(CONSTANTS, "backward_of_grid", 1024)["parts"], 2 * 3 * 4096 / 14)

    def test_bytes_of_a_step(self):
        # 128 KB of states come once for 4 blocks; of a quarter of dstate, 128 KB, once for 2 blocks of a cluster of 8.
        for way, sharers in (("forward", 4), ("backward", 2), ("backward_of_grid", 1)):
            copied, moved = wide_steps.step_figures(CONSTANTS, way, 1024)[2:]
            self.assertEqual(copied, 131072 // sharers)
            self.assertEqual(moved, copied + 64 * 16 * 38)
        self.assertEqual(wide_steps.step_figures(CONSTANTS, wide_steps.TF32, 1024)[2:], (65536, 65536 + 64 * 8 * 44))

    def test_teams_of_a_block_hide_each_others_chain(self):
        chain, work, _, moved = wide_steps.step_figures(CONSTANTS, "forward", 1024)
        self.assertEqual(wide_steps.step_clocks(CONSTANTS, "forward", 1024, 1, 1), chain + work)
        self.assertEqual(wide_steps.step_clocks(CONSTANTS, "forward", 1024, 4, 2), max(2 * work, 2 * (moved * 128 // 3100)))

    def test_waits_of_a_stage_lengthen_the_chain(self):
        def chain_with(stalls):
            with mock.patch.object(wide_steps, "machine_code", lambda way: (94, stalls, 1000)):
                return wide_steps.step_figures(CONSTANTS, "backward", 1024)[0]

        self.assertEqual(chain_with(3072 / 16 + 10) - chain_with(0), 160)
        self.assertEqual(chain_with(3072 / 16), chain_with(0))

    def test_machine_code_of_a_stage(self):
        for way in wide_steps.WAYS:
            instructions, stalls, rest = wide_steps.machine_code(way)
            self.assertGreater(stalls, instructions)
            self.assertGreater(rest, 0)

    def test_copies_lengthen_the_chain(self):
        chain, work, copied, _ = wide_steps.step_figures(CONSTANTS, "backward_of_grid", 1024)
        self.assertEqual(wide_steps.step_clocks(CONSTANTS, "backward_of_grid", 1024, 1, 1), chain + work)
        self.assertEqual(wide_steps.step_clocks(CONSTANTS, "backward_of_grid", 1024, 2, 2), chain + copied * 128 // 3100)

    def test_teams_of_a_batch(self):
        def teams(way, hidden, batch):
            return wide_steps.choose_teams(CONSTANTS, way, hidden, batch)[:2]

        for batch, expected in ((64, (1, 1)), (128, (2, 2)), (1000, (4, 2))):
            self.assertEqual(teams("forward", 1024, (batch, 1, batch)), expected)
        self.assertEqual(teams("backward", 1024, (256, 1, 256)), (2, 1))  # 15 clusters of 8 blocks are one set of 64
        self.assertEqual(teams("backward_of_grid", 1024, (256, 1, 256)), (2, 2))
        self.assertEqual(teams("backward_of_grid", 1024, (256, 250, 256 * 40)), (1, 1))
        self.assertEqual(teams(wide_steps.TF32, 1024, (256, 1, 256)), (2, 1))  # a set is the whole device
        self.assertIsNone(wide_steps.choose_teams(CONSTANTS, wide_steps.TF32, 512, (256, 1, 256)))
        self.assertIsNone(wide_steps.choose_teams(CONSTANTS, "backward_of_grid", 256, (256, 1, 256)))
        self.assertIsNone(wide_steps.choose_teams(CONSTANTS, "forward", 384, (256, 1, 256)))
        self.assertEqual(wide_steps.batch_step(CONSTANTS, "forward", 1024, 257)["turns"], 2)

    def test_no_large_batch_is_behind_other_ways(self):
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            counts = json.load(file)["counts"]
        of_16_bits = ("forward", "backward", "backward_of_grid")
        for hidden, batch, ways in ((768, 256, of_16_bits), (1024, 256, of_16_bits), (1024, 1024, of_16_bits[:2])):
            for way in ways:
                wide = wide_steps.batch_step(CONSTANTS, way, hidden, batch)["us"]
                for other in ("grid", "stepwise"):
                    step = counted_steps.batch_step(CONSTANTS, counts, other, way.split("_")[0], "bf16", hidden, batch)
                    self.assertLess(wide, step["us"])


class StreamedStepsTest(unittest.TestCase):
    def test_bytes_of_a_step(self):
        # At H = 2048 a block has 512 KB of weights in 64 stages and keeps a quarter; a slot has 8 KB of values, which four
        # blocks share forward.
        for mode, ahead, sharers, cell in (("forward", 6, 4, 44), ("backward", 5, 1, 56)):
            figures = streamed_steps.step_figures(CONSTANTS, "tf32", mode, 2048)
            self.assertEqual(figures[3:], (384 * 1024, ahead * 8192, 8192 // sharers, 8192 // sharers + 16 * cell))
        # In 16 bits it keeps half of 256 KB. In TF32 at H = 1024 a quarter, and two blocks share a slot's 4 KB backward.
        self.assertEqual(streamed_steps.step_figures(CONSTANTS, "bf16", "backward", 2048)[3:],
                         (128 * 1024, 2 * 8192, 4096, 4096 + 16 * 38))
        self.assertEqual(streamed_steps.step_figures(CONSTANTS, "tf32", "backward", 1024)[3:],
                         (192 * 1024, 6 * 8192, 2048, 2048 + 16 * 56))

    def test_work_of_a_product(self):
        terms = streamed_steps.terms(CONSTANTS, "tf32", "forward", 2048)
        self.assertEqual(terms["product"], 64 * 4 * 32)
        self.assertEqual(streamed_steps.terms(CONSTANTS, "bf16", "backward", 2048)["shared"], (32 * 3 + 16) * 64)
        self.assertEqual(terms["shared"], (64 * 3 + 48) * 64)
        self.assertGreater(terms["issue"], 0)
        # A block pushes as many sums as its quarter has groups of the grid's parts, three of four to other blocks.
        self.assertEqual(streamed_steps.terms(CONSTANTS, "tf32", "backward", 1024)["parts"], 4 * 3 * 4096 / 14)

    def test_a_step_is_what_l2_gives_or_its_chain(self):
        chain, _, work, weights, ahead, copied, moved = streamed_steps.step_figures(CONSTANTS, "tf32", "forward", 2048)
        self.assertEqual(streamed_steps.step_clocks(CONSTANTS, "tf32", "forward", 2048, 64, 1), (weights + 64 * moved) * 128 // 3100)
        self.assertEqual(streamed_steps.step_clocks(CONSTANTS, "tf32", "forward", 2048, 16, 1),
                         chain + max(work, (weights - ahead + 16 * copied) * 128 // 3100))

    def test_slots_of_a_batch(self):
        def slots(batch):
            return streamed_steps.choose_teams(CONSTANTS, "tf32", "backward", 2048, batch)[:2]

        self.assertEqual(slots((64, 150, 1200)), (1, 8))  # as in tests/kernels/selection/wide_test.cc
        self.assertEqual(slots((64, 150, 3200)), (1, 24))
        self.assertEqual(slots((64, 50, 3200)), (1, 64))
        self.assertIsNone(streamed_steps.choose_teams(CONSTANTS, "tf32", "forward", 1024, (64, 1, 64)))

    def test_where_they_are_faster(self):
        self.assertTrue(streamed_steps.is_faster(CONSTANTS, "backward", 2048, (64, 1, 64)))
        self.assertFalse(streamed_steps.is_faster(CONSTANTS, "backward", 2048, (256, 1, 256)))

    def test_no_lengths_that_differ_are_behind_a_product_and_a_pointwise_kernel(self):
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            training = json.load(file)["training"]
        cases = [case for case in training if case["dtype"] in ("bf16", "tf32")]
        self.assertEqual(len(cases), 2 * 2 * len(floors.HIDDEN) * len(modelled_training.BATCHES))
        for case in cases:
            terms = case["policies"][case["selected"]]
            if case["dtype"] == "tf32" and (case["H"] == 2048 or (case["H"], case["B"]) == (1024, 256)):
                self.assertEqual(terms["wide"], ["forward", "backward"])
            elif case["H"] == 2048 and case["B"] == 256:
                self.assertIn("backward", terms["wide"])
            self.assertLess(terms["total"], case["gemm_and_pointwise"])


class FloorsTest(unittest.TestCase):
    def test_counts_of_a_step(self):
        # 256 gates of a block are 16 tiles of rows, 256 units 16 of k, 8 slots one tile: 256 products on 4 sub-cores.
        step = floors.resident_step(floors.CONSTANTS, "cluster", "forward", "bf16", 256, 16, 4, 32)
        self.assertEqual(step["slots"], 8)
        self.assertEqual(step["mma_of_subcore"], 64)
        self.assertEqual(step["exchanged_bytes"], 256 * 8 * 2)
        # Backward has as many products, and hands over sums in f32.
        step = floors.resident_step(floors.CONSTANTS, "cluster", "backward", "bf16", 256, 16, 4, 32)
        self.assertEqual(step["mma_of_subcore"], 64)
        self.assertEqual(step["exchanged_bytes"], 256 * 8 * 4)

    def test_rates_of_a_sub_core(self):
        # A product of 16 x 8 x 16 is 2,048 of 512 multiply-adds a clock, of which mma.sync reaches 63 %.
        self.assertAlmostEqual(floors.CONSTANTS["mma_issue_clk"], 16 * 8 * 16 / 512 / 0.63)
        step = floors.resident_step(floors.CONSTANTS, "cluster", "forward", "bf16", 256, 16, 4, 32)
        self.assertAlmostEqual(step["clk"]["mma"], 64 * 4 / 0.63)
        # H = 128 in two blocks: 64 units x 8 slots are 4 cells of a lane; 2^x and 1 / x five times, on 4 lanes a clock.
        step = floors.resident_step(floors.CONSTANTS, "cluster", "forward", "bf16", 128, 16, 2, 32)
        self.assertEqual(step["clk"]["mufu"], 4 * 10 * 32 / 4)
        step = floors.resident_step(floors.CONSTANTS, "cluster", "backward", "bf16", 128, 16, 2, 32)
        self.assertEqual(step["clk"]["mufu"], 4 * 2 * 32 / 4)

    def test_weights_that_do_not_fit(self):
        self.assertIsNone(floors.resident_step(floors.CONSTANTS, "cluster", "forward", "tf32", 512, 1, 8, 15))
        self.assertIsNotNone(floors.resident_step(floors.CONSTANTS, "cluster", "forward", "tf32", 512, 1, 16, 7))
        self.assertIsNone(floors.best_step(floors.CONSTANTS, "cluster", "forward", "bf16", 1024, 1))

    def test_more_work_takes_no_less(self):
        for mode in floors.MODES:
            for policy in ("cluster", "grid", "grid_barrier", "stepwise"):
                for dtype in floors.SIZES:
                    for hidden in floors.HIDDEN:
                        steps = [floors.best_step(floors.CONSTANTS, policy, mode, dtype, hidden, batch)
                                 for batch in floors.BATCHES]
                        times = [step["us"] for step in steps if step]
                        self.assertEqual(times, sorted(times), (mode, policy, dtype, hidden))

    def test_the_total_is_its_terms(self):
        step = floors.best_step(floors.CONSTANTS, "grid", "forward", "bf16", 1024, 64)
        clk = step["clk"]
        total = (clk["exchange"] + clk["fragment"] + clk["k_reduction"] + clk["cell"] +
                 max(clk["mma"], clk["mufu"], clk["shared"], clk["transfer"]))
        self.assertAlmostEqual(step["us"], total / 1755.0)

    def test_measured_figures_replace_constants(self):
        measured = floors.with_measured(floors.CONSTANTS, exchange_file(unit=500, largest=2500, gap=700, resident=2))
        self.assertEqual(measured["clock_ghz"], 1.0)
        self.assertEqual(measured["kernel_gap_us"], 0.7)
        self.assertEqual(measured["resident_clusters"][1], 4)
        self.assertEqual(measured["resident_clusters"][2], 2)
        step = floors.resident_step(measured, "cluster", "forward", "bf16", 128, 8, 2, 1)
        self.assertEqual(step["clk"]["exchange"], 500)
        # 32768 bytes took 2000 clocks more than one unit; this step has 2048.
        self.assertAlmostEqual(step["clk"]["transfer"], 2048 * 2000 / 32768)

    def test_missing_figures_leave_constants(self):
        measured = floors.with_measured(floors.CONSTANTS, exchange_file())
        for name in ("kernel_gap_us", "dsmem_latency_clk", "grid_barrier_us"):
            self.assertEqual(measured[name], floors.CONSTANTS[name])
        self.assertEqual(measured["resident_clusters"][8], floors.CONSTANTS["resident_clusters"][8])
        self.assertEqual(floors.exchange_clk(measured, "cluster", 8), floors.exchange_clk(floors.CONSTANTS, "cluster", 8))


class CountedStepsTest(unittest.TestCase):
    def test_terms_of_a_step(self):
        clk = counted_steps.resident_step(CONSTANTS, tile(), 32)["clk"]
        self.assertEqual(clk["exchange"], 180 + 60)
        self.assertEqual(clk["parts"], 0)
        self.assertEqual(clk["cell"], 4 * 22)
        self.assertEqual(clk["stalls"], 1000)
        # 8 warps are two of a sub-core, with 32 products, 20 special functions and 400 instructions each.
        self.assertAlmostEqual(clk["product"], 2 * 32 * 4 / 0.63)
        self.assertEqual(clk["mufu"], 2 * 20 * 8)
        self.assertEqual(clk["issue"], 2 * 400)
        self.assertEqual(clk["shared"], (32768 + 4096) / 128)
        self.assertEqual(clk["transfer"], 4096 * 3 / 4 / 14)
        # The schedule: 16 bytes for each of 64 x 8 cells were read, 8 slots' are enough.
        self.assertAlmostEqual(clk["device"], (16384 + 11264 - 16 * 8 * 63) / (3100 / 128))

    def test_step_is_its_chain_and_the_longest_of_the_rest(self):
        step = counted_steps.resident_step(CONSTANTS, tile(bar=3, splits=2, load_rounds=2), 1)
        clk = step["clk"]
        self.assertEqual(clk["barriers"], 90)
        self.assertEqual(clk["k_reduction"], 2 * 29)
        self.assertEqual(clk["loads"], 2 * 263)
        chain = sum(clk[name] for name in ("exchange", "barriers", "fragment", "k_reduction", "cell", "parts", "loads"))
        rest = {name: clk[name] for name in ("stalls", "issue", "product", "mufu", "shared", "transfer", "device")}
        self.assertEqual(set(clk), {*rest, "exchange", "barriers", "fragment", "k_reduction", "cell", "parts", "loads"})
        self.assertEqual(step["bound"], max(rest, key=rest.get))
        self.assertAlmostEqual(step["us"], (chain + max(rest.values())) / 1755.0)

    def test_what_a_team_exchanges(self):
        grid = tile(policy="grid", mode="backward", blocks=16, pushed_bytes=0)
        self.assertEqual(counted_steps.exchange_clk(CONSTANTS, grid), 263 * 2.5 + 60)
        self.assertEqual(counted_steps.exchange_clk(CONSTANTS, tile(blocks=1)), 0)
        # Parts of dh, or sums of them, come from shared memory.
        self.assertEqual(counted_steps.resident_step(CONSTANTS, grid, 1)["clk"]["parts"], 29)
        self.assertEqual(counted_steps.resident_step(CONSTANTS, tile(mode="backward"), 1)["clk"]["parts"], 29)
        # The grid's first round of loads is its exchange.
        for policy, rounds, waited in (("cluster", 2, 2), ("grid", 2, 1), ("grid", 0, 0)):
            step = counted_steps.resident_step(CONSTANTS, tile(policy=policy, load_rounds=rounds), 1)
            self.assertEqual(step["clk"]["loads"], waited * 263)

    def test_machine_code_of_a_tile(self):
        shape = {"cell": "lstm", "policy": "cluster", "math": "bf16", "H": 256, "units": 64, "slots": 8, "splits": 2}
        rows = [{**shape, "pass": "forward", "stalls": 1}, {**shape, "pass": "backward", "stalls": 2},
                {**shape, "pass": "layers", "stalls": 3}, {**shape, "pass": "forward", "cell": "gru", "stalls": 4}]
        counts = {"tiles": [tile(splits=2), tile(mode="backward")]}
        found = counted_steps.with_machine_code(counts, rows)
        self.assertEqual([one["machine_code"]["stalls"] for one in found["tiles"]], [1, 2])
        with self.assertRaisesRegex(ValueError, "no row for forward cluster bf16 256 64 8 2"):
            counted_steps.with_machine_code(counts, rows[1:])

    def test_measured_exchange_of_the_nearest_team(self):
        measured = {**CONSTANTS, "measured_exchange_clk": {"grid": {33: 700, 132: 900}}}
        self.assertEqual(counted_steps.exchange_clk(measured, tile(policy="grid", blocks=64)), 700)

    def test_clocks_of_a_step_with_teams(self):
        # The chain: an exchange of 240, a load of 29 and four special functions of 22.
        chain, work, moved = counted_steps.step_figures(CONSTANTS, tile())
        self.assertEqual((chain, work, moved), (240 + 29 + 88, 1000, 16384 + 11264 - 16 * 8 * 63))
        self.assertEqual(counted_steps.step_clocks(CONSTANTS, tile(), 1), chain + work)
        self.assertEqual(counted_steps.step_clocks(CONSTANTS, tile(stalls=100), 1), chain + 800)  # «issue»
        self.assertEqual(counted_steps.step_clocks(CONSTANTS, tile(stalls=100, instructions=10), 1),
                         chain + round(2 * 32 * 4 / 0.63))  # «product»
        self.assertEqual(counted_steps.step_clocks(CONSTANTS, tile(), 66), chain + moved * 4 * 66 // 3100)

    def test_bytes_of_a_step(self):
        # 27,648 are counted. 256 threads read two entries each forward, and one backward; 8 are enough.
        self.assertEqual(counted_steps.device_bytes(tile()), 27648 - 16 * 504)
        self.assertEqual(counted_steps.device_bytes(tile(mode="backward")), 27648 - 16 * 248)
        # Four warps share the depth of each product: 32 blocks of 8 units. And the grid's exchange.
        grid = {"policy": "grid", "units": 8, "blocks": 32}
        self.assertEqual(counted_steps.device_bytes(tile(splits=4, **grid)), 27648 - 16 * 504 + 2 * 8 * (256 + 16))
        self.assertEqual(counted_steps.device_bytes(tile(splits=4, slots=16, math="tf32", **grid)),
                         27648 - 16 * 496 + 4 * 16 * (256 + 16))
        self.assertEqual(counted_steps.device_bytes(tile(mode="backward", slots=16, **grid)),
                         27648 - 16 * 240 + 2 * 4 * 16 * 256)

    def test_steps_of_a_batch_by_its_lengths(self):
        self.assertEqual(counted_steps.modelled_steps((100, 154, 2000), 16), 154)
        self.assertEqual(counted_steps.modelled_steps((100, 154, 2000), 8), 260)
        self.assertEqual(counted_steps.modelled_steps((17, 50, 850), 16), 100)

    def test_the_longest_sequence_may_need_few_slots(self):
        counts = {"tiles": pair(blocks=16) + pair(blocks=16, slots=16, stalls=1500)}
        for batch, slots in (((112, 1, 112), 16), ((112, 150, 2240), 8)):
            chosen = counted_steps.choose_tile(CONSTANTS, counts, "cluster", "bf16", 256, batch)
            self.assertEqual(chosen[0]["slots"], slots)

    def test_the_policy_with_the_fewest_clocks(self):
        few = {"stalls": 100, "instructions": 10, "mma": 0}
        cluster, grid = pair(**few), pair(policy="grid", blocks=8, pushed_bytes=0, **few)
        select = counted_steps.select_policy
        self.assertEqual(select(CONSTANTS, {"tiles": cluster + grid}, "bf16", 256), "cluster")  # 240 against 718
        self.assertEqual(select(CONSTANTS, {"tiles": pair(stalls=2000) + grid}, "bf16", 256), "grid")
        self.assertEqual(select(CONSTANTS, {"tiles": grid}, "bf16", 256), "grid")
        self.assertEqual(select(CONSTANTS, {"tiles": grid}, "bf16", 257), "stepwise")

    def test_the_fewest_slots_that_hold_the_batch(self):
        counts = {"tiles": pair(H=128, blocks=2) + pair() + pair(slots=16)}
        for batch, slots, teams in ((1, 8, 1), (256, 8, 32), (257, 16, 17), (5000, 16, 32)):
            chosen = counted_steps.choose_tile(CONSTANTS, counts, "cluster", "bf16", 200, (batch, 1, batch))
            self.assertEqual((chosen[0]["H"], chosen[0]["slots"], chosen[2]), (256, slots, teams))
        self.assertIsNone(counted_steps.choose_tile(CONSTANTS, counts, "cluster", "bf16", 512, (1, 1, 1)))
        too_large = {"tiles": pair(shared_bytes=228 * 1024)}
        self.assertIsNone(counted_steps.choose_tile(CONSTANTS, too_large, "cluster", "bf16", 256, (1, 1, 1)))

    def test_a_batch_beyond_the_slots_takes_turns(self):
        counts = {"tiles": pair()}
        one = counted_steps.batch_step(CONSTANTS, counts, "cluster", "forward", "bf16", 256, 256)
        two = counted_steps.batch_step(CONSTANTS, counts, "cluster", "forward", "bf16", 256, 257)
        self.assertEqual((one["turns"], two["turns"]), (1, 2))
        self.assertAlmostEqual(two["us"], 2 * one["us"])


class TrainingTest(unittest.TestCase):
    def test_makespan_is_the_greedys(self):
        self.assertEqual(modelled_training.makespan([5, 4, 3, 3, 3], 2), 10)  # 5 + 3 and 4 + 3 + 3
        self.assertEqual(modelled_training.makespan([7, 2], 8), 7)
        self.assertEqual(modelled_training.active([3, 1]), [2, 1, 1])

    def test_gemms(self):
        tokens, hidden = 10**6, 1024
        us = modelled_training.gemm_us(CONSTANTS, "f32", hidden, tokens)
        self.assertAlmostEqual(us, 4 * 8 * tokens * hidden**2 / (0.6 * 66.9e6))
        self.assertEqual(modelled_training.gemm_us(CONSTANTS, "bf16", 1, 1), 4 * CONSTANTS["kernel_gap_us"])

    def test_own_gemms_are_bound_by_l2(self):
        # 4096 x 2048: 16 x 8 tiles of 256 x 256 are 256 blocks in two waves of 132, each of 256 elements of 2 bytes for a
        # value of k. In TF32 as many of 128 x 256 have 384 of 4 if B is not transposed.
        bytes_of_step = 132 * 256 * 2
        us = modelled_training.own_gemm_us(CONSTANTS, "bf16", 4096, 2048, 512, False)
        self.assertAlmostEqual(us, 2 * 512 * bytes_of_step / 3100 / 1.755e3)
        us = modelled_training.own_gemm_us(CONSTANTS, "tf32", 4096, 2048, 512, False)
        self.assertAlmostEqual(us, 2 * 512 * 132 * 384 * 4 / 3100 / 1.755e3)
        us = modelled_training.own_gemm_us(CONSTANTS, "tf32", 4096, 2048, 512, True)
        self.assertAlmostEqual(us, 2 * 512 * 132 * 256 * 4 / 3100 / 1.755e3)
        # A step of few rows: 64 tiles of 64 x 64 in one wave.
        us = modelled_training.own_gemm_us(CONSTANTS, "tf32", 16, 4096, 1024, True)
        self.assertAlmostEqual(us, 1024 * 132 * 128 * 4 / 3100 / 1.755e3)
        # With twice the bytes of L2 and more the products bind.
        us = modelled_training.own_gemm_us({**CONSTANTS, "l2_total_bytes_per_clk": 1e6}, "bf16", 4096, 2048, 512, False)
        self.assertAlmostEqual(us, 2 * 512 * 132 * 2 * 128 * 256 / 989e6)

    def test_total_is_its_terms_and_above_the_floor(self):
        case = modelled_training.training_step(CONSTANTS, {"tiles": pair()}, "bf16", 256, 64, "ewt")
        self.assertIsNone(case["policies"]["grid"])
        self.assertEqual(case["selected"], "cluster")
        for terms in (case["policies"]["cluster"], case["policies"]["stepwise"]):
            names = {"launches", "weights", "forward", "backward", "gemms"} & set(terms)
            self.assertAlmostEqual(terms["total"], sum(terms[name] for name in names))
            self.assertGreater(terms["total"], case["floor"])


    def test_wide_teams_run_where_they_are_faster(self):
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            training = json.load(file)["training"]
        wide = {(case["lens"], case["H"], case["B"]): case["policies"]["grid"]["wide"]
                for case in training if case["dtype"] == "bf16"}
        self.assertEqual(wide["ewt", 1024, 16], [])
        self.assertIn("backward", wide["lognormal", 1024, 256])
        for case in training:  # cuDNN's way, at every H but that whose tile takes the whole device
            if case["dtype"] == "bf16" and case["H"] < 2048:
                self.assertLess(case["policies"][case["selected"]]["total"], case["gemm_and_pointwise"], case)


class StepwiseTest(unittest.TestCase):
    def test_tiles_are_those_of_the_selection(self):
        self.assertFalse(stepwise_steps.is_wide(CONSTANTS, 1024, 32))
        self.assertTrue(stepwise_steps.is_wide(CONSTANTS, 1024, 33))
        self.assertTrue(stepwise_steps.shares_tiles(CONSTANTS, "forward", 1024, 64))
        self.assertFalse(stepwise_steps.shares_tiles(CONSTANTS, "forward", 1024, 256))
        self.assertTrue(stepwise_steps.shares_tiles(CONSTANTS, "backward", 1024, 256))

    def test_terms_of_a_wide_step(self):
        # 32 x 4 blocks read 128 lines of weights and 64 rows, 1,024 deep, each 2 bytes; each block has 32 chunks of its
        # depth, and 8 x 8 x 64 products.
        clk = stepwise_steps.stepwise_step(CONSTANTS, "forward", "bf16", 1024, 256)["clk"]
        self.assertAlmostEqual(clk["l2"], 128 * 192 * 2048 / CONSTANTS["l2_total_bytes_per_clk"])
        self.assertAlmostEqual(clk["product"], 8 * 8 * 64 / 4 * CONSTANTS["mma_issue_clk"])
        self.assertAlmostEqual(clk["alone"], 32 * (30 + 29 + 2 * 24))
        self.assertEqual(clk["parts"], 0)

    def test_terms_of_a_shared_step(self):
        # Backward: 8 x 4 tiles of 128 units, four blocks each, which read a quarter of 4,096.
        clk = stepwise_steps.stepwise_step(CONSTANTS, "backward", "bf16", 1024, 256)["clk"]
        self.assertAlmostEqual(clk["l2"], 128 * 192 * 2048 / CONSTANTS["l2_total_bytes_per_clk"])
        self.assertAlmostEqual(clk["parts"], 3 * 16 * 128 * 4 / 14 + 2 * 180)

    def test_f32_is_on_the_cuda_cores(self):
        self.assertNotIn("product", stepwise_steps.stepwise_step(CONSTANTS, "forward", "f32", 1024, 256)["clk"])


class ReportTest(unittest.TestCase):
    def test_report_is_of_this_model(self):
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            counts = json.load(file)["counts"]
        with open(os.path.join(REPORT, "h200.md"), encoding="utf-8") as file:
            text = file.read()
        commands = text.split("```sh\n")[1].split("\n```")[0]
        with tempfile.TemporaryDirectory() as folder:
            model.write_report(folder, "h200", CONSTANTS, counts, None, commands)
            for name in ("h200.md", "h200.json"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    again = file.read()
                with open(os.path.join(REPORT, name), encoding="utf-8") as file:
                    self.assertEqual(again, file.read(), name)

    def test_the_library_chooses_by_these_counts(self):
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            counts = json.load(file)["counts"]
        with open(selection_clocks.FILE, encoding="utf-8") as file:
            self.assertEqual(file.read(), selection_clocks.text_of(CONSTANTS, counts),
                             "bench/model.py --counts bench/results/modelled/h200.json --out bench/results/modelled "
                             "--clocks kernels/selection/step_clocks.h writes it anew")

    def test_stepwise_is_behind_at_the_h_of_every_tile(self):
        batch = 16  # at H = 2048 it is ahead of many turns, which start earlier than at kReferenceBatch
        with open(os.path.join(REPORT, "h200.json"), encoding="utf-8") as file:
            counts = json.load(file)["counts"]
        for dtype in counted_steps.DTYPES:
            for hidden in {tile["H"] for tile in counts["tiles"] if tile["math"] == dtype}:
                policy = counted_steps.select_policy(CONSTANTS, counts, dtype, hidden)
                resident, stepwise = (sum(counted_steps.batch_step(CONSTANTS, counts, way, mode, dtype, hidden,
                                                                   batch)["us"]
                                          for mode in floors.MODES) for way in (policy, "stepwise"))
                self.assertLess(resident, stepwise, (dtype, hidden))

    def test_report_with_measured_exchanges_says_so(self):
        exchange = exchange_file(unit=500, largest=2500, gap=700, resident=2)
        counts = {"code": "PTX of nvcc", "tiles": pair(H=128, blocks=2)}
        with tempfile.TemporaryDirectory() as folder:
            model.write_report(folder, "report", floors.with_measured(CONSTANTS, exchange), counts, exchange, "commands")
            with open(os.path.join(folder, "report.md"), encoding="utf-8") as file:
                text = file.read()
            with open(os.path.join(folder, "report.json"), encoding="utf-8") as file:
                steps = json.load(file)["steps"]
        self.assertNotIn(model.NOT_MEASURED, text)
        self.assertIn("exchanges as measured, the rest modelled", text)
        self.assertEqual({step["step"]["clk"]["exchange"] for step in steps
                          if step["step"] and step["policy"] == "cluster"}, {500})

    def test_change_is_of_the_chosen_policies(self):
        def of(selected, cluster, grid):
            time = {"cluster": {"total": cluster}, "grid": {"total": grid}}
            step = {"mode": "forward", "dtype": "bf16", "H": 512, "B": 16}
            return {"training": [{"dtype": "bf16", "lens": "ewt", "H": 512, "B": 16, "policies": time,
                                  "selected": selected}],
                    "steps": [{**step, "policy": "cluster", "step": None},
                              {**step, "policy": "grid", "step": {"us": grid / 100}}]}

        text = model_change.report(of("cluster", 300, 250), of("grid", 200, 100))
        self.assertIn("| bf16 | ewt | 512 | 16 | cluster 300 | grid 100 | 3.00 |", text)
        self.assertIn("| forward | bf16 | 512 | 16 | grid 2.50 | grid 1.00 | 2.50 |", text)
        new = of("grid", 200, 100)
        new["training"][0]["H"] = 768
        self.assertIn("| bf16 | ewt | 768 | 16 | — | grid 100 | — |", model_change.report(of("grid", 1, 1), new))


if __name__ == "__main__":
    unittest.main()
