"""RecurrentPPO of sb3-contrib whose LSTMs are this library's, with the starts of episodes as resets.

    PYTHONPATH=capi/python python3 capi/python/examples/recurrent_ppo.py --steps 20000        (pip install sb3-contrib)

sb3-contrib's policy calls its LSTM token by token as soon as an episode starts in a batch, and in training one always does.
Here the flags go along, and a batch is one call. Options, checkpoints and results are those of the policy "MlpLstmPolicy";
CnnLstmPolicy and MultiInputLstmPolicy take the same two methods.
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import gymnasium
import numpy as np
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.env_util import make_vec_env

from varlstm.torch import patch


class LstmPolicy(RecurrentActorCriticPolicy):
    def __init__(self, *arguments, **options) -> None:
        with patch():  # torch.nn.LSTM is varlstm.torch.LSTM while the policy is made
            super().__init__(*arguments, **options)

    @staticmethod
    def _process_sequence(features, lstm_states, episode_starts, lstm):
        """What the LSTM gives out for features [sequences * steps, F], sequence after sequence, and its last states."""
        sequences = lstm_states[0].shape[1]
        x = features.reshape(sequences, -1, lstm.input_size).transpose(0, 1)
        starts = episode_starts.reshape(sequences, -1).transpose(0, 1) != 0
        y, states = lstm(x, lstm_states, resets=starts)
        return y.transpose(0, 1).flatten(0, 1), states


class Recall(gymnasium.Env):
    """Shows -1 or 1 in an episode's first observation only; each action that tells it is worth 1. Episodes end anywhere."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)  # what is shown, and whether it is shown
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.shown = int(self.np_random.integers(2))
        return np.array([2 * self.shown - 1, 1], np.float32), {}

    def step(self, action):
        is_last = bool(self.np_random.random() < 0.1)
        return np.zeros(2, np.float32), float(action == self.shown), is_last, False, {}


def make_model(policy, envs: int = 8, steps: int = 128, hidden: int = 64, **options) -> RecurrentPPO:
    return RecurrentPPO(policy, make_vec_env(Recall, envs, seed=0), n_steps=steps, batch_size=envs * steps // 4, n_epochs=4,
                        learning_rate=3e-3, seed=0, device="cpu", policy_kwargs={"lstm_hidden_size": hidden}, **options)


def worth(model: RecurrentPPO) -> float:
    """The mean reward of a token in the last rollout."""
    return float(model.rollout_buffer.rewards.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20000, help="of all environments together")
    options = parser.parse_args()
    model = make_model(LstmPolicy)
    while model.num_timesteps < options.steps:
        model.learn(1, reset_num_timesteps=model.num_timesteps == 0)
        print(f"{model.num_timesteps:6} steps: a token is worth {worth(model):.3f} of 1", flush=True)


if __name__ == "__main__":
    main()
