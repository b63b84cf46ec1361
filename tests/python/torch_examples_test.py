"""Other packages with this library's modules: each computes what it computes with torch.nn's. Skipped where one is missing."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "capi" / "python" / "examples"))


def test_recurrent_ppo_learns_the_parameters_that_sb3_contribs_policy_learns() -> None:
    pytest.importorskip("sb3_contrib")
    import recurrent_ppo

    learned = []
    for policy in (recurrent_ppo.LstmPolicy, "MlpLstmPolicy"):
        model = recurrent_ppo.make_model(policy, envs=4, steps=32, hidden=16)
        model.learn(2 * 4 * 32)
        assert model.rollout_buffer.episode_starts[1:].any()  # in the middle of sequences
        learned.append({name: value.clone() for name, value in model.policy.state_dict().items()})
    ours, theirs = learned
    assert isinstance(model.policy.lstm_actor, torch.nn.LSTM) and list(ours) == list(theirs)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4, msg=lambda text: f"{name}: {text}")
