#!/usr/bin/env python3
"""What bench/model.py counts, against counts by hand, and what it takes from an exchange.json.
SPDX-License-Identifier: Apache-2.0
"""
import unittest

import model


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


class ModelTest(unittest.TestCase):
    def test_counts_of_a_step(self):
        # 256 gates of a block are 16 tiles of rows, 256 units 16 of k, 8 slots one tile: 256 products on 4 sub-cores.
        step = model.resident_step(model.CONSTANTS, "cluster", "forward", "bf16", 256, 16, 4, 32)
        self.assertEqual(step["slots"], 8)
        self.assertEqual(step["mma_of_subcore"], 64)
        self.assertEqual(step["exchanged_bytes"], 256 * 8 * 2)
        # Backward has as many products, and hands over sums in f32.
        step = model.resident_step(model.CONSTANTS, "cluster", "backward", "bf16", 256, 16, 4, 32)
        self.assertEqual(step["mma_of_subcore"], 64)
        self.assertEqual(step["exchanged_bytes"], 256 * 8 * 4)

    def test_weights_that_do_not_fit(self):
        self.assertIsNone(model.resident_step(model.CONSTANTS, "cluster", "forward", "tf32", 512, 1, 8, 15))
        self.assertIsNotNone(model.resident_step(model.CONSTANTS, "cluster", "forward", "tf32", 512, 1, 16, 7))
        self.assertIsNone(model.best_step(model.CONSTANTS, "cluster", "forward", "bf16", 1024, 1))

    def test_more_work_takes_no_less(self):
        for mode in model.MODES:
            for policy in ("cluster", "grid", "grid_barrier", "stepwise"):
                for dtype in model.SIZES:
                    for hidden in model.HIDDEN:
                        steps = [model.best_step(model.CONSTANTS, policy, mode, dtype, hidden, batch)
                                 for batch in model.BATCHES]
                        times = [step["us"] for step in steps if step]
                        self.assertEqual(times, sorted(times), (mode, policy, dtype, hidden))

    def test_the_total_is_its_terms(self):
        step = model.best_step(model.CONSTANTS, "grid", "forward", "bf16", 1024, 64)
        clk = step["clk"]
        total = (clk["exchange"] + clk["fragment"] + clk["k_reduction"] + clk["cell"] +
                 max(clk["mma"], clk["shared"], clk["transfer"]))
        self.assertAlmostEqual(step["us"], total / 1755.0)

    def test_measured_figures_replace_constants(self):
        measured = model.with_measured(model.CONSTANTS, exchange_file(unit=500, largest=2500, gap=700, resident=2))
        self.assertEqual(measured["clock_ghz"], 1.0)
        self.assertEqual(measured["kernel_gap_us"], 0.7)
        self.assertEqual(measured["resident_clusters"][1], 4)
        self.assertEqual(measured["resident_clusters"][2], 2)
        step = model.resident_step(measured, "cluster", "forward", "bf16", 128, 8, 2, 1)
        self.assertEqual(step["clk"]["exchange"], 500)
        # 32768 bytes took 2000 clocks more than one unit; this step has 2048.
        self.assertAlmostEqual(step["clk"]["transfer"], 2048 * 2000 / 32768)

    def test_missing_figures_leave_constants(self):
        measured = model.with_measured(model.CONSTANTS, exchange_file())
        for name in ("kernel_gap_us", "dsmem_latency_clk", "grid_barrier_us"):
            self.assertEqual(measured[name], model.CONSTANTS[name])
        self.assertEqual(measured["resident_clusters"][8], model.CONSTANTS["resident_clusters"][8])
        self.assertEqual(model.exchange_clk(measured, "cluster", 8), model.exchange_clk(model.CONSTANTS, "cluster", 8))


if __name__ == "__main__":
    unittest.main()
