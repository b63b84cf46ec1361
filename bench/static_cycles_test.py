#!/usr/bin/env python3
"""bench/static_cycles on small machine code written by hand, on lines of nvdisasm, and on made-up tables.
SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import dataclasses
import io
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.dont_write_bytecode = True
from static_cycles import __main__ as program, bounds, counts, kernels, loops, path, sass, simulator  # noqa: E402

NAME = "step"


def code(*lines):
    """nvdisasm's text of one kernel. A line is a label, or an instruction and its control bits: «FADD R1, R2, R3 | s4 w0
    r1 b2» stalls 4 clocks, waits on scoreboard 0, and holds 1 for its operands and 2 for its result."""
    text = ['\t.target\tsm_90a', '\t.string\t"Cuda compilation tools, release 13.0, V13.0.88"', f".text.{NAME}:"]
    for line in lines:
        if line.endswith(":"):
            text.append(line)
            continue
        body, _, bits = line.partition("|")
        control = {"s": 1, "r": 7, "b": 7}
        waits = 0
        for bit in bits.split():
            if bit[0] == "w":
                waits |= 1 << int(bit[1:])
            else:
                control[bit[0]] = int(bit[1:])
        upper = (control["s"] | control["b"] << 5 | control["r"] << 8 | waits << 11) << 41
        text += [f"        /*0000*/  {body.strip()} ;  /* 0x0000000000000000 */", f"    /* 0x{upper:016x} */"]
    return "\n".join(text)


def kernel(*lines):
    return sass.parse(code(*lines)).kernels[0]


def loop(*body, before=()):
    """A kernel whose time loop has a product, an exchange and that body."""
    return kernel(*before, ".L_x_0:", "HMMA.16816.F32.BF16 R8, R12, R16, R8", *body, "BAR.SYNC.DEFER_BLOCKING 0x0",
                  "UIADD3 UR4, UR4, 0x1, URZ", "ISETP.LE.AND P0, PT, R2, UR4, PT", "@!P0 BRA `(.L_x_0)", "EXIT")


def texts(turn):
    return [i.text for i in turn.path]


class SassTest(unittest.TestCase):
    def test_control_bits(self):
        i = sass.decode("@!P1 SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR5+0x2000], R197", 0x000ea20008020145, 3)
        self.assertEqual((i.index, i.negated, i.predicate, i.base), (3, True, "P1", "SYNCS"))
        self.assertEqual(i.operands, ["P1", "[UR5+0x2000]", "R197"])
        self.assertEqual((i.stall, i.write_barrier, i.read_barrier, i.waits), (1, 2, 7, 0))
        # As nvdisasm printed them for a product that waits on scoreboard 2 and stalls 6 clocks, and for a store.
        i = sass.decode("HMMA.16816.F32.BF16 R80, R16, R104, RZ", 0x004fec00000418ff, 0)
        self.assertEqual((i.stall, i.write_barrier, i.read_barrier, i.waits), (6, 7, 7, 1 << 2))
        i = sass.decode("STAS [R84.64], R96", 0x0007e8000c00000f, 0)
        self.assertEqual((i.stall, i.write_barrier, i.read_barrier, i.waits), (4, 7, 3, 0))
        self.assertTrue(i.stalls == 4 and not i.waits_on(7))

    def test_a_cubin(self):
        text = code(".L_x_0:", "FADD R1, R2, R3 | s4 w0 w5 b2", "BRA `(.L_x_0)", ".L_x_1:")
        text += ('\n\t.section\t.nv.info.step,"",@"SHT_CUDA_INFO"\n//----- nvinfo : EIATTR_MAX_THREADS\n'
                 " /*00b8*/ .word 0x00000080")
        cubin = sass.parse(text)
        self.assertEqual((cubin.compiler, cubin.architecture), ("13.0.88", "sm_90a"))
        parsed = cubin.kernels[0]
        self.assertEqual((parsed.name, parsed.threads, parsed.labels), (NAME, 128, {".L_x_0": 0}))
        self.assertEqual((parsed.instructions[0].waits, parsed.instructions[1].target), (0b100001, ".L_x_0"))
        self.assertEqual(sass.parse(text, lambda name: name != NAME).kernels, [])


class LoopsTest(unittest.TestCase):
    def head_of(self, *lines):
        parsed = kernel(*lines)
        blocks = loops.make_blocks(parsed)
        found = loops.time_loop(parsed, blocks)
        return found and (blocks[found.head].first, {i for k in found.blocks for i in
                                                     range(blocks[k].first, blocks[k].last + 1)})

    def test_a_retry_behind_the_end_belongs_to_the_loop(self):
        head, members = self.head_of(
            "MOV R1, R2", ".L_x_0:", "SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR5], R7", "@!P1 BRA `(.L_x_2)", ".L_x_1:",
            "HMMA.16816.F32.BF16 R8, R12, R16, R8", "@!P0 BRA `(.L_x_0)", "EXIT",
            ".L_x_2:", "SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR5], R7", "@!P1 BRA `(.L_x_2)", "BRA `(.L_x_1)")
        self.assertEqual((head, members), (1, {1, 2, 3, 4, 6, 7, 8}))

    def test_neither_a_loop_of_products_nor_the_loop_around(self):
        head, _ = self.head_of(
            ".L_x_0:", "MOV R1, R2", ".L_x_1:", "MOV R3, R4", ".L_x_2:", "HMMA.16816.F32.BF16 R8, R12, R16, R8",
            "@P2 BRA `(.L_x_2)", "BAR.SYNC 0x0", "@P1 BRA `(.L_x_1)", "@P0 BRA `(.L_x_0)", "EXIT")
        self.assertEqual(head, 1)

    def test_a_loop_over_stages_is_no_step(self):
        head, _ = self.head_of(
            ".L_x_0:", "LDG.E R1, [R2.64]", ".L_x_1:", "SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR5], R7",
            "HGMMA.64x64x16.F32.BF16 R24, gdesc[UR8], R24, gsb0", "@P2 BRA `(.L_x_1)", "@P0 BRA `(.L_x_0)", "EXIT")
        self.assertEqual(head, 0)

    def test_a_warpgroup_that_only_multiplies(self):
        stage = ("SYNCS.PHASECHK.TRANS64.TRYWAIT P1, [UR5], R7", "HGMMA.64x64x8.F32.TF32 R24, gdesc[UR8], R24, gsb0")
        text = code("ISETP.GE.AND P2, PT, R0, 0x100, PT", "@P2 BRA `(.L_x_1)",
                    ".L_x_0:", "LDG.E R1, [R2.64] | s2 b0", "FFMA R1, R3, R4, R1 | s4 w0", "LDS R5, [R6] | s2 b1",
                    "BAR.SYNC.DEFER_BLOCKING 0x1, 0x80 | s5", "@P0 BRA `(.L_x_0) | s5", "EXIT",
                    ".L_x_1:", "MOV R9, RZ | s3", ".L_x_2:", *stage, "@P3 BRA `(.L_x_2) | s5", "STAS.64 [R8.64], R4 | s4",
                    "@P0 BRA `(.L_x_1) | s5", "EXIT")
        text += ('\n\t.section\t.nv.info.step,"",@"SHT_CUDA_INFO"\n//----- nvinfo : EIATTR_MAX_THREADS\n'
                 " /*00b8*/ .word 0x00000180")
        turn = path.ordinary_turn(sass.parse(text).kernels[0])
        bases = [i.base for i in turn.path]
        self.assertEqual(bases, ["LDG", "FFMA", "LDS", "BAR", "BRA", "MOV", "SYNCS", "HGMMA", "BRA", "STAS", "BRA"])
        self.assertEqual(turn.steps, 1)

    def test_no_time_loop(self):
        self.assertIsNone(self.head_of(".L_x_0:", "HMMA.16816.F32.BF16 R8, R12, R16, R8", "@P0 BRA `(.L_x_0)", "EXIT"))
        self.assertIsNone(self.head_of("BAR.SYNC 0x0", "EXIT"))


class PathTest(unittest.TestCase):
    def test_a_rare_case_is_passed_by(self):
        # The mark of a first token, loaded a turn ahead; then a tensor that may be missing, but is not.
        turn = path.ordinary_turn(loop(
            "LOP3.LUT P1, RZ, R20, 0x4, RZ, 0xc0, !PT", "LDG.E R20, desc[UR8][R4.64]", "@!P1 BRA `(.L_x_1)",
            "LDG.E R21, desc[UR8][R6.64]", ".L_x_1:", "ISETP.NE.U32.AND P2, PT, RZ, c[0x0][0x350], PT",
            "@!P2 BRA `(.L_x_2)", "STG.E desc[UR8][R6.64], R21", ".L_x_2:"))
        self.assertNotIn("LDG.E R21, desc[UR8][R6.64]", texts(turn))
        self.assertIn("STG.E desc[UR8][R6.64], R21", texts(turn))
        self.assertEqual((turn.guessed, turn.steps), (0, 1))

    def test_64_bits_and_both_halves_of_a_predicate(self):
        turn = path.ordinary_turn(loop(
            "LDG.E.64 R20, desc[UR8][R4.64]", "ISETP.GE.U32.AND P1, PT, R20, RZ, PT",
            "ISETP.GE.AND.EX P1, PT, R21, RZ, PT, P1", "PLOP3.LUT P3, PT, P1, P6, PT, 0xa8, 0x0", "@P3 BRA `(.L_x_1)",
            "MUFU.EX2 R1, R1", ".L_x_1:"))
        self.assertNotIn("MUFU.EX2 R1, R1", texts(turn))  # 0xa8 is (a or b) and c
        self.assertEqual(turn.guessed, 0)

    def test_a_predicate_that_waits_in_a_register(self):
        turn = path.ordinary_turn(loop(
            "LDG.E R20, desc[UR8][R4.64]", "LOP3.LUT P4, RZ, R20, 0x4, RZ, 0xc0, !PT", "VOTE.ANY P4, P4",
            "P2R R30, PR, RZ, 0x10", "ISETP.NE.AND P5, PT, R30, RZ, PT", "@!P5 BRA `(.L_x_1)", "MUFU.EX2 R1, R1", ".L_x_1:"))
        self.assertNotIn("MUFU.EX2 R1, R1", texts(turn))
        self.assertEqual(turn.guessed, 0)

    def test_a_word_that_is_there_is_the_one_waited_for(self):
        turn = path.ordinary_turn(loop(
            "LD.E.128.STRONG.GPU R20, desc[UR6][R40.64]", "VIMNMX.U32 R24, R22, R23, !PT",
            "VIMNMX3.U32 R24, R20, R21, R24, !PT", "ISETP.NE.AND P1, PT, R24, -0x1, PT", "@P1 BRA `(.L_x_1)",
            "MUFU.EX2 R1, R1", ".L_x_1:", "LOP3.LUT R25, R20, R19, R21, 0x7e, !PT",
            "LOP3.LUT P2, RZ, R25, 0x1, RZ, 0xc0, !PT", "@!P2 BRA `(.L_x_2)", "MUFU.RCP R1, R1", ".L_x_2:"))
        self.assertEqual((turn.guessed, [text for text in texts(turn) if "MUFU" in text]), (0, []))

    def test_an_unknown_branch_goes_where_the_work_is(self):
        turn = path.ordinary_turn(loop("@P5 BRA `(.L_x_1)", "MUFU.EX2 R1, R1", "BRA `(.L_x_2)", ".L_x_1:", "MOV R1, R2",
                                       "MOV R2, R3", ".L_x_2:"))
        self.assertIn("MUFU.EX2 R1, R1", texts(turn))
        self.assertNotIn("MOV R1, R2", texts(turn))
        self.assertEqual(turn.guessed, 1)

    def test_a_call_is_a_slow_case(self):
        turn = path.ordinary_turn(loop("@P5 BRA `(.L_x_1)", "MUFU.EX2 R1, R1", "CALL.REL.NOINC `($division)", ".L_x_1:"))
        self.assertNotIn("MUFU.EX2 R1, R1", texts(turn))

    def test_a_loop_inside_is_run_as_often_as_it_is(self):
        body = ("VIADD R5, R5, 0x1", "ISETP.NE.AND P1, PT, R5, 0x4, PT", "@P1 BRA `(.L_x_1)")
        turn = path.ordinary_turn(loop("MOV R5, RZ", ".L_x_1:", *body))
        self.assertEqual(texts(turn).count("VIADD R5, R5, 0x1"), 4)
        # ptxas also writes a number as two halves: 0x2810 is 0.03173828125.
        turn = path.ordinary_turn(loop("HFMA2.MMA R5, -RZ, RZ, 0, 0.03173828125", ".L_x_1:", "VIADD R5, R5, 0x20",
                                       "ISETP.NE.AND P1, PT, R5, 0x2a10, PT", "@P1 BRA `(.L_x_1)"))
        self.assertEqual(texts(turn).count("VIADD R5, R5, 0x20"), 16)
        # A thread's share of a copy: from the first thread's index on, 256 threads.
        turn = path.ordinary_turn(loop("MOV R5, R40", ".L_x_1:", "VIADD R5, R5, 0x100",
                                       "ISETP.GE.AND P1, PT, R5, 0x400, PT", "@!P1 BRA `(.L_x_1)",
                                       before=("S2R R40, SR_TID.X",)))
        self.assertEqual(texts(turn).count("VIADD R5, R5, 0x100"), 4)

    def test_a_quotient_by_a_constant(self):
        # The rank of a block in a team of 48: 100 % 48 is 4. The quotient is the upper half of a product of 64 bits.
        for quotient in (("IMAD.WIDE.U32 R2, R40, -0x55555555, RZ",), ("IMAD.HI.U32 R3, R40, -0x55555555, RZ",),
                         ("MOV R4, -0x1", "MOV R5, RZ", "IMAD.WIDE.U32 R2, R40, -0x55555555, R4"),
                         ("IMAD.WIDE R2, R40, -0x55555556, RZ", "IADD3 R3, R3, R40, RZ")):
            before = ("S2R R40, SR_TID.X", *quotient, "SHF.R.U32.HI R3, RZ, 0x5, R3", "IMAD R6, R3, -0x30, R40")
            turn = path.ordinary_turn(loop("ISETP.NE.AND P1, PT, R6, 0x4, PT", "@P1 BRA `(.L_x_1)", "MUFU.EX2 R1, R1",
                                           ".L_x_1:", before=before), thread=100)
            self.assertIn("MUFU.EX2 R1, R1", texts(turn))
            self.assertEqual(turn.guessed, 0)

    def test_a_wait_succeeds(self):
        turn = path.ordinary_turn(loop(".L_x_1:", "LD.E.STRONG.GPU R20, desc[UR6][R40.64]",
                                       "ISETP.GE.U32.AND P1, PT, R20, R3, PT", "@!P1 BRA `(.L_x_1)"))
        self.assertEqual(texts(turn).count("LD.E.STRONG.GPU R20, desc[UR6][R40.64]"), 1)
        self.assertEqual(turn.guessed, 0)

    def test_steps_of_an_unrolled_turn(self):
        step = ("SYNCS.PHASECHK.TRANS64.TRYWAIT P3, [UR5], R7", "HMMA.16816.F32.BF16 R8, R12, R16, R8", "STAS [R4.64], R6")
        for count, by in ((1, "0x1"), (2, "0x2"), (2, "-0x2"), (4, "0x4")):
            parsed = kernel(".L_x_0:", *step * count, f"IADD3 R9, R9, {by}, RZ", "ISETP.NE.AND P1, PT, R9, R3, PT",
                            "@P1 BRA `(.L_x_0)", "EXIT")
            self.assertEqual(path.ordinary_turn(parsed).steps, count, by)
        # A counter that is doubled, from a number that is known; with no wait for others.
        parsed = kernel("MOV R29, RZ", ".L_x_0:", *(step[1], "BAR.SYNC 0x0") * 2, "VIADD R29, R29, 0x1",
                        "IMAD.SHL.U32 R30, R29, 0x2, RZ", "ISETP.GE.U32.AND P1, PT, R30, R3, PT", "@!P1 BRA `(.L_x_0)", "EXIT")
        self.assertEqual(path.ordinary_turn(parsed).steps, 2)
        # A uniform counter, whose predicate is copied.
        parsed = kernel(".L_x_0:", *(step[1], "BAR.SYNC 0x0") * 2, "UIADD3 UR4, UR4, 0x2, URZ",
                        "UISETP.NE.AND UP0, UPT, UR4, UR5, UPT", "PLOP3.LUT P1, PT, PT, PT, UP0, 0x80, 0x0",
                        "@P1 BRA `(.L_x_0)", "EXIT")
        self.assertEqual(path.ordinary_turn(parsed).steps, 2)
        # 64 bits; then nothing that counts, but two waits.
        parsed = kernel(".L_x_0:", *step * 2, "IADD3 R9, P4, R9, 0x2, RZ", "IADD3.X R10, RZ, R10, RZ, P4, !PT",
                        "ISETP.GE.U32.AND P1, PT, R9, R3, PT", "ISETP.GE.AND.EX P1, PT, R10, R4, PT, P1",
                        "@!P1 BRA `(.L_x_0)", "EXIT")
        self.assertEqual(path.ordinary_turn(parsed).steps, 2)
        self.assertEqual(path.ordinary_turn(kernel(".L_x_0:", *step * 2, "@P1 BRA `(.L_x_0)", "EXIT")).steps, 2)

    def test_a_loop_that_is_missing(self):
        with self.assertRaisesRegex(path.NoTimeLoop, "no loop has both"):
            path.ordinary_turn(kernel("MOV R1, R2", "EXIT"))


class CountsTest(unittest.TestCase):
    def of(self, *body):
        return counts.of_turn(path.ordinary_turn(loop(*body)))

    def test_counts_and_classes(self):
        counted = self.of("MUFU.EX2 R1, R1 | s2", "F2F.BF16.F32 R1, R1 | s5", "SHFL.BFLY PT, R1, R1, 0x4, 0x1f",
                          "LDC.64 R4, c[0x0][R3]", "STL [R1], R2", "IMAD.MOV.U32 R1, RZ, RZ, R2 | s0",
                          "IMAD R1, R2, R3, R4 | s4", "MEMBAR.ALL.GPU", "CCTL.IVALL")
        self.assertEqual(counted["instructions"], 14)
        self.assertEqual(counted["stalls"], 14 + 1 + 4 + 3)
        self.assertEqual({name: counted[name] for name in ("mma", "mufu", "bar", "membar", "cctl", "shfl", "f2f", "ldc",
                                                           "local", "branches", "loads")},
                         {"mma": 1, "mufu": 1, "bar": 1, "membar": 1, "cctl": 1, "shfl": 1, "f2f": 1, "ldc": 1, "local": 1,
                          "branches": 1, "loads": 0})
        self.assertEqual(counted["by_class"]["move"], {"instructions": 1, "stalls": 1})
        self.assertEqual(counted["by_class"]["integer"], {"instructions": 3, "stalls": 6})
        for column in ("instructions", "stalls"):
            self.assertEqual(sum(of[column] for of in counted["by_class"].values()), counted[column])

    def test_the_mean_of_unrolled_steps(self):
        counted = counts.of_turn(path.ordinary_turn(kernel(
            ".L_x_0:", "HMMA.16816.F32.BF16 R8, R12, R16, R8", "BAR.SYNC 0x0", "UIADD3 UR4, UR4, 0x2, URZ",
            "ISETP.LE.AND P0, PT, R2, UR4, PT", "@!P0 BRA `(.L_x_0)")))
        self.assertEqual((counted["instructions"], counted["mma"]), (2.5, 0.5))

    def test_loads_that_their_own_step_waits_on(self):
        load = "LDG.E R20, desc[UR8][R4.64] | b5"
        # Converted in its own step; used a turn later; used after the wait for the others, although in the same turn.
        self.assertEqual(self.of(load, "MUFU.EX2 R1, R20 | w5")["loads_waited"], 1)
        self.assertEqual(self.of("MUFU.EX2 R1, R20 | w5", load)["loads_waited"], 0)
        wait = "SYNCS.PHASECHK.TRANS64.TRYWAIT P3, [UR5], R7 | b0"
        self.assertEqual(self.of(load, wait, "MUFU.EX2 R1, R20 | w5")["loads_waited"], 0)
        # After the wait, and used in the next turn before it; what is given in between makes the difference.
        self.assertEqual(self.of("MUFU.EX2 R1, R20 | w5", wait, load)["loads_waited"], 1)
        self.assertEqual(self.of("MUFU.EX2 R1, R20 | w5", wait, load, "STAS [R4.64], R6")["loads_waited"], 0)
        # Another load that shares its scoreboard and is waited on makes it wait, too; polls are no such loads.
        other = "LDG.E R30, desc[UR8][R6.64] | b5"
        self.assertEqual(self.of("MUFU.EX2 R1, R20", load, other, "MUFU.EX2 R1, R30 | w5")["loads_waited"], 2)
        self.assertEqual(self.of("LD.E.STRONG.GPU R20, desc[UR6][R40.64] | b5", "MUFU.EX2 R1, R20 | w5")["loads_waited"], 0)

    def test_rounds_of_loads(self):
        def loads(*scoreboards):
            return [f"LDG.E R2{k}, desc[UR8][R4.64] | b{k}" for k in scoreboards]
        together = self.of(*loads(0, 1), "MUFU.EX2 R1, R20 | w0", "MUFU.EX2 R1, R21 | w1")
        one_by_one = self.of(*loads(0), "MUFU.EX2 R1, R20 | w0", *loads(1), "MUFU.EX2 R1, R21 | w1")
        self.assertEqual((together["loads_waited"], together["load_rounds"]), (2, 1))
        self.assertEqual((one_by_one["loads_waited"], one_by_one["load_rounds"]), (2, 2))

    def test_polls(self):
        polls = [f"LD.E.STRONG.GPU R2{k}, desc[UR6][R40.64+0x{16 * k}] | b{k}" for k in (0, 1)]
        uses = [f"MUFU.EX2 R1, R2{k} | w{k}" for k in (0, 1)]
        give, load = "ST.E.STRONG.GPU desc[UR6][R6.64], R5", "LDG.E R30, desc[UR8][R4.64]"
        # Under way together they are one round; what was asked for before a step gave its results is none.
        self.assertEqual(self.of(*polls, *uses, give)["load_rounds"], 1)
        self.assertEqual(self.of(polls[0], uses[0], polls[1], uses[1], give)["load_rounds"], 2)
        self.assertEqual(self.of(uses[0], polls[0], give)["load_rounds"], 0)
        # A load comes while what it polls for comes, unless it shares the scoreboard of the poll.
        ahead = self.of(polls[0], load + " | b5", uses[0], "MUFU.EX2 R1, R30 | w5")
        shared = self.of(polls[0], load + " | b0", uses[0], "MUFU.EX2 R1, R30")
        self.assertEqual((ahead["loads_waited"], shared["loads_waited"]), (0, 1))


class SimulatorTest(unittest.TestCase):
    def period(self, *body, threads=128):
        return simulator.period(path.ordinary_turn(loop(*body)), threads)

    def test_stalls_and_latencies(self):
        plain = self.period("FADD R1, R2, R3 | s4")
        self.assertEqual(self.period("FADD R1, R2, R3 | s9") - plain, 5)
        clocks = simulator.CONSTANTS
        waited = self.period("LDG.E R20, desc[UR8][R4.64] | b5", "FADD R1, R20, R3 | s4 w5")
        self.assertEqual(waited - plain, clocks["device"])
        rest = ["FADD R1, R2, R3 | s9"] * 40  # longer than the latency
        ahead = self.period("FADD R1, R20, R3 | s4 w5", "LDG.E R20, desc[UR8][R4.64] | b5", *rest)
        self.assertEqual(ahead, self.period("FADD R1, R20, R3 | s4", "LDG.E R20, desc[UR8][R4.64]", *rest))

    def test_pipes(self):
        units = ["MUFU.EX2 R1, R1"] * 50
        self.assertAlmostEqual(self.period(*units) - self.period(), 50 * 8, delta=10)
        # Two warps of a sub-core share it.
        self.assertAlmostEqual(self.period(*units, threads=256), 2 * 50 * 8, delta=100)
        products = ["HMMA.16816.F32.BF16 R8, R12, R16, R8"] * 50
        self.assertAlmostEqual(self.period(*products) - self.period(), 50 * 6.35, delta=10)

    def test_what_others_give_takes_its_way(self):
        wait, give = "SYNCS.PHASECHK.TRANS64.TRYWAIT P3, [UR5], R7 | b0", "STAS [R4.64], R6"
        chain = self.period(wait, "FADD R1, R2, R3 | s4 w0", give)
        self.assertAlmostEqual(chain, simulator.CONSTANTS["push"], delta=20)
        strong = self.period("LD.E.STRONG.GPU R20, desc[UR6][R40.64] | b0", "FADD R1, R20, R3 | s4 w0",
                             "ST.E.STRONG.GPU desc[UR6][R6.64], R5")
        self.assertAlmostEqual(strong, simulator.CONSTANTS["through_l2"], delta=20)

    def test_warps_meet_at_a_barrier(self):
        self.assertGreaterEqual(self.period(threads=256), simulator.CONSTANTS["barrier"])

    def test_each_warp_has_its_own_work(self):
        # Only the block's first warp does the work of the 50 units.
        units = ["ISETP.GE.U32.AND P1, PT, R33, 0x20, PT", "@P1 BRA `(.L_x_1)", *["MUFU.EX2 R1, R2"] * 50, ".L_x_1:"]
        parsed = loop(*units, before=("S2R R32, SR_TID.X", "SHFL.IDX PT, R33, R32, RZ, 0x1f"))
        first, second = (path.ordinary_turn(parsed, thread) for thread in (0, 128))
        self.assertEqual(len(first.path) - len(second.path), 50)
        self.assertAlmostEqual(simulator.period(first, 256) - simulator.period(first, 256, [second]), 50 * 8, delta=20)
        # One that meets no other at the barrier was followed wrongly.
        alone = dataclasses.replace(second, path=[i for i in second.path if i.base != "BAR"])
        self.assertEqual(simulator.period(first, 256, [alone]), simulator.period(first, 256))


class TableTest(unittest.TestCase):
    NAME = ("_ZN7varlstm4cuda23resident_forward_kernelINS0_12ResidentTileINS0_8LstmCellENS0_8Bf16MathELi256ELi64ELi2ELi1E"
            "Li12ELi13EEENS0_22ClusterForwardExchangeIS5_EEEEvNS_4CellE")

    def step(self, **changes):
        counted = {**{name: 1 for name in bounds.COUNTS}, **changes}
        return kernels.Step(self.NAME, kernels.tile_of(self.NAME), 256, 1, 0, counted, None)

    def test_the_tile_of_a_name(self):
        self.assertEqual(kernels.tile_of(self.NAME), {
            "pass": "forward", "cell": "lstm", "policy": "cluster", "math": "bf16", "H": 256, "units": 64, "slots": 16,
            "splits": 1, "register_tiles": "12/13"})
        block = self.NAME.replace("22ClusterForward", "20BlockForward").replace("8Bf16", "7F32")
        self.assertEqual((kernels.tile_of(block)["policy"], kernels.tile_of(block)["math"]), ("cluster", "f32"))
        grid = self.NAME.replace("22ClusterForward", "20GridBackward").replace("forward_kernel", "backward_kernel")
        self.assertEqual((kernels.tile_of(grid)["policy"], kernels.tile_of(grid)["pass"]), ("grid", "backward"))
        self.assertIsNone(kernels.tile_of(self.NAME.replace("resident_forward", "arrange_weights")))

    def test_the_tile_of_a_wide_team(self):
        def tile(text):
            found = kernels.tile_of("_ZN7varlstm4cuda" + text)
            return found and [found[name] for name in ("pass", "cell", "policy", "math", "H", "units", "slots", "splits")]

        forward = "19wide_forward_kernelINS0_12WideTeamTileINS0_7GruCellENS0_8Bf16MathELi1024ELi{}ELb0EEEEEvNS_4CellE"
        self.assertEqual(tile(forward.format(256)), ["forward", "gru", "wide", "bf16", 1024, 16, 64, 4])
        self.assertEqual(tile(forward.format(0)), ["forward", "gru", "wide_stepwise", "bf16", 1024, 16, 64, 4])
        backward = "20wide_backward_kernelINS0_16WideBackwardTileINS0_8LstmCellENS0_7F16MathELi512ELb{}EEEEEvNS_4CellE"
        self.assertEqual(tile(backward.format(1)), ["backward", "lstm", "wide", "f16", 512, 16, 64, 8])
        self.assertEqual(tile(backward.format(0)), ["backward", "lstm", "wide_stepwise", "f16", 512, 16, 64, 4])
        in_tf32 = "19wide_forward_kernelINS0_12WideTeamTileINS0_8LstmCellENS0_8Tf32MathELi1024ELi{}ELb0EEEEEvNS_4CellE"
        self.assertEqual(tile(in_tf32.format(128)), ["forward", "lstm", "wide", "tf32", 1024, 8, 64, 8])
        self.assertEqual(tile(in_tf32.format(0)), ["forward", "lstm", "wide_stepwise", "tf32", 1024, 16, 64, 4])
        back_in_tf32 = backward.replace("7F16Math", "8Tf32Math").replace("512", "1024")
        self.assertEqual(tile(back_in_tf32.format(1)), ["backward", "lstm", "wide", "tf32", 1024, 16, 64, 16])

    def test_written_and_read_again(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "bounds.csv")
            key, row = bounds.row_of(self.step(stalls=2.5, narrowed=None))
            bounds.write("13.0.88", {key: row}, file)
            self.assertEqual(bounds.read(file), ("13.0.88", {key: row}))
            number = bounds.numbers(file)[0]
            self.assertEqual([number[name] for name in ("H", "stalls", "policy", "narrowed")], [256, 2.5, "cluster", ""])

    def test_differences(self):
        key, row = bounds.row_of(self.step())
        _, more = bounds.row_of(self.step(instructions=3))
        other = (*key[:-1], "1/1")
        self.assertEqual(bounds.differences({key: row}, {key: row}, True), [])
        self.assertEqual(bounds.differences({key: row}, {key: more}, True),
                         ["forward lstm cluster bf16 256 64 16 1 12/13: instructions 3, in the table 1"])
        self.assertEqual(len(bounds.differences({key: row, other: row}, {key: row}, True)), 1)
        self.assertEqual(bounds.differences({key: row, other: row}, {key: row}, False), [])
        self.assertEqual(bounds.differences({key: row}, {key: row, other: row}, False),
                         ["forward lstm cluster bf16 256 64 16 1 1/1: the table has no such row"])

    def run_program(self, *arguments, compiler="13.0.88", nvdisasm="nvdisasm"):
        """(status, output) of the program, for which any file is a cubin with step() alone."""
        read = mock.Mock(return_value=kernels.File("cubin", compiler, "sm_90a", [self.step()]))
        with mock.patch.object(kernels, "find_nvdisasm", return_value=nvdisasm), mock.patch.object(kernels, "read", read), \
                contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
            return program.main(list(arguments)), output.getvalue()

    def test_the_program(self):
        with tempfile.TemporaryDirectory() as folder:
            table, cubin = os.path.join(folder, "bounds.csv"), os.path.join(folder, "a.cubin")
            os.mkdir(os.path.join(folder, "kernel_resources"))
            for path_of_cubin in (cubin, os.path.join(folder, "kernel_resources", "a.cubin")):
                with open(path_of_cubin, "w", encoding="utf-8"):
                    pass
            of_build = ("--build", folder, "--bounds", table)
            self.assertEqual(self.run_program("--write-bounds", *of_build)[0], 0)
            self.assertEqual(self.run_program("--check", *of_build)[0], 0)
            self.assertEqual(self.run_program("--check", *of_build, compiler="13.1.1")[0], 77)
            self.assertEqual(self.run_program("--check", *of_build, nvdisasm=None)[0], 77)
            key, row = bounds.row_of(self.step(instructions=2))
            other = (*key[:-1], "1/1")
            bounds.write("13.0.88", {key: row, other: row}, table)
            status, output = self.run_program("--check", *of_build)
            self.assertEqual((status, output.count("\n")), (1, 4))
            self.assertIn("1/1: there is no such kernel any more", output)
            # Of some kernels alone: the other rows stay.
            self.assertEqual(self.run_program("--write-bounds", "--bounds", table, cubin)[0], 0)
            self.assertEqual(bounds.read(table)[1], dict([bounds.row_of(self.step()), (other, row)]))
            status, output = self.run_program("--write-bounds", "--bounds", table, cubin, compiler="13.1.1")
            self.assertEqual((status, output),
                             (1, "static_cycles: the machine code is of nvcc 13.1.1, the table of 13.0.88\n"))

    def test_the_table_of_the_project(self):
        compiler, rows = bounds.read()
        self.assertRegex(compiler, r"^\d+\.\d+\.\d+$")
        self.assertEqual(list(rows), sorted(rows, key=bounds.place))
        for row in bounds.numbers():
            self.assertGreater(row["instructions"], 0, row)
            self.assertGreaterEqual(row["stalls"], row["instructions"], row)
            self.assertGreaterEqual(row["loads"], row["load_rounds"], row)


if __name__ == "__main__":
    unittest.main()
