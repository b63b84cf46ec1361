# varlstm-tagger and the network of bench/peers/tagger_network.py are the same: they give the same tags for a trained model,
# and the same losses from step to step. Without torch the test is skipped (status 77).
# Usage: tagger_torch_test.py PROGRAM PEERS DATA
# SPDX-License-Identifier: Apache-2.0
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, PEERS, DATA = (os.path.abspath(path) for path in sys.argv[1:4])
sys.path.insert(0, PEERS)
try:
    import torch
except ImportError:
    print("skipped: torch is not installed")
    sys.exit(77)
import tagger_program  # noqa: E402

FILES = f"{DATA}/train.conllu", f"{DATA}/dev.conllu"
SMALL = "small: --embedding 20 --hidden 24 --lr 0.02 --char-filters 7"
NETWORKS = [f"{SMALL} --char-widths 2,3,4 --layers 2 --dropout 0.2", f"{SMALL} --clip 0.3 --lr-schedule linear --word-case lower",
            "small: --embedding 20 --hidden 24 --lr 0.02 --char-filters 0"]


class TorchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.model = f"{temporary.name}/model"

    def train(self, network):
        tagger_program.train(PROGRAM, FILES, tagger_program.parse_network(network), self.model, 2)

    def check(self):
        command = [sys.executable, f"{PEERS}/tagger_cpu.py", "--program", PROGRAM, "--check", self.model, "--dev", FILES[1]]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_tags(self):
        for network in NETWORKS:
            with self.subTest(network):
                self.train(network)
                self.assertEqual(tagger_program.check_tags(PROGRAM, self.model, FILES[1]), 883)

    def test_other_parameters_are_found(self):
        self.train(NETWORKS[0])
        outcome = self.check()
        self.assertEqual((outcome.returncode, outcome.stdout), (0, "883 words have the same tags in PyTorch\n"))
        take = tagger_program.Tagger.load

        def load(model, folder):
            take(model, folder)
            with torch.no_grad():
                model.char_conv["2"].weight.copy_(model.char_conv["2"].weight.flip(2))

        tagger_program.Tagger.load = load
        self.addCleanup(setattr, tagger_program.Tagger, "load", take)
        with self.assertRaisesRegex(tagger_program.Failure, r"\d+ of 883 words .* have another tag in PyTorch"):
            tagger_program.check_tags(PROGRAM, self.model, FILES[1])

    def test_model_that_pytorch_has_not(self):
        subprocess.run([PROGRAM, "train", "--train", FILES[0], "--dev", FILES[1], "--out", self.model, "--hidden", "2",
                        "--cell", "gru", "--epochs", "1"], capture_output=True, check=True)
        outcome = self.check()
        self.assertEqual((outcome.returncode, outcome.stderr),
                         (1, f"tagger_cpu.py: {self.model} has \"cell\" = gru, and the network in PyTorch is for lstm "
                             "alone\n"))

    def test_speed(self):
        """Training and eval are timed, and the files stay as they are."""
        with tempfile.TemporaryDirectory() as folder:
            for path in FILES:
                shutil.copy(path, folder)
            command = [sys.executable, f"{PEERS}/tagger_cpu.py", "--program", PROGRAM, "--pairs", "1", "--batches", "1"]
            outcome = subprocess.run(command, capture_output=True, text=True, check=False,
                                     env={**os.environ, "VARLSTM_EWT_DIR": folder, "PYTHONWARNINGS": "ignore"})
            self.assertEqual((outcome.returncode, outcome.stderr), (0, ""))
            for name in ("train", "eval"):
                self.assertIn(f"\n| defaults | {name} | 1 | 1 |", outcome.stdout)
            for path in FILES:
                self.assertTrue(filecmp.cmp(path, os.path.join(folder, os.path.basename(path)), shallow=False), path)

    def test_losses(self):
        for network in NETWORKS:
            with self.subTest(network):
                pairs = tagger_program.compare_training(PROGRAM, FILES, tagger_program.parse_network(network), 6)
                self.assertEqual(len(pairs), 6)
                self.assertLess(pairs[-1][0], 0.9 * pairs[0][0])
                for ours, theirs in pairs:
                    self.assertAlmostEqual(ours / theirs, 1, delta=1e-5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    unittest.main(argv=sys.argv[:1])
