"""Other packages with this library's modules: each computes what it computes with torch.nn's. One that is missing skips."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")

from varlstm.torch import LSTM, patch, replace_rnn  # noqa: E402

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


def test_flairs_tagger_has_the_losses_that_it_has_with_torchs_lstm(tmp_path: pathlib.Path) -> None:
    pytest.importorskip("flair")
    import flair_tagger

    def run():
        _, losses, tagger = flair_tagger.run(flair_tagger.read_sentences(), epochs=3, hidden=16)
        return losses, rnns(tagger), tagger

    def rnns(tagger):
        return {type(module) for module in tagger.modules() if isinstance(module, torch.nn.RNNBase)}

    losses, kinds, tagger = run()
    tagger.save(tmp_path / "tagger.pt")
    with patch():
        our_losses, our_kinds, _ = run()
        assert rnns(flair_tagger.SequenceTagger.load(tmp_path / "tagger.pt")) == {LSTM}
    assert kinds == {torch.nn.LSTM} and our_kinds == {LSTM}
    assert len(losses) == 3 and losses[2] < losses[0]
    assert our_losses == pytest.approx(losses, rel=1e-3)


def test_flairs_tagger_refuses_less_than_one_epoch(monkeypatch, capsys) -> None:
    pytest.importorskip("flair")
    import flair_tagger

    for epochs in ("0", "-1"):
        monkeypatch.setattr(sys, "argv", ["flair_tagger.py", "--epochs", epochs])
        with pytest.raises(SystemExit) as stopped:
            flair_tagger.main()
        assert stopped.value.code == 2
        assert f"--epochs {epochs}: must be at least 1" in capsys.readouterr().err


def test_resemblyzers_pretrained_encoder() -> None:
    resemblyzer = pytest.importorskip("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)  # whose weights the package has
    seconds = torch.arange(4 * 16000) / 16000
    waves = [torch.sin(seconds * pitch * (3 + torch.sin(5 * seconds))).numpy() for pitch in (300, 700)]
    before = [encoder.embed_utterance(wave) for wave in waves]
    assert replace_rnn(encoder) is encoder and type(encoder.lstm) is LSTM
    for wave, expected in zip(waves, before):
        assert abs(encoder.embed_utterance(wave) - expected).max() < 1e-6 < expected.max()
    assert abs(before[0] - before[1]).max() > 0.01


@pytest.mark.parametrize("bidirectional", [False, True])
def test_speechbrains_lstm(bidirectional: bool) -> None:
    rnns = pytest.importorskip("speechbrain.nnet.RNN")
    lengths, x = torch.tensor([1.0, 0.7, 0.4]), torch.randn(3, 10, 5)

    def run():
        torch.manual_seed(0)
        network = rnns.LSTM(6, input_size=5, num_layers=2, bidirectional=bidirectional)
        y, (h_n, c_n) = network(x, lengths=lengths)
        (y.square().sum() + h_n.sum() + c_n.sum()).backward()
        return network, [y, h_n, c_n, *(parameter.grad for parameter in network.parameters())]

    network, expected = run()
    with patch():
        ours, actual = run()
    assert type(network.rnn) is torch.nn.LSTM and type(ours.rnn) is LSTM
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
