"""The MelHuBERT encoder, loaded from its folder."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from storage.weights import save_config, save_tensors

TINY = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7, 5))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MelHuBERTModel(TINY).eval()


@pytest.fixture
def encoder(model, tmp_path):
    save_tensors(tmp_path / "model.safetensors", model.state_dict() | dict(mean=torch.zeros(40), std=torch.ones(40)))
    save_config(tmp_path / "config.json", dict(architecture="melhubert", subtract_loudness=True) | asdict(TINY))
    return encoders.load(tmp_path)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_features_do_not_depend_on_the_batch(encoder, layer):
    rng = np.random.default_rng(0)
    waveforms = [0.1 * rng.standard_normal(n).astype(np.float32) for n in (9000, 400, 3333, 720)]
    for waveform, features in zip(waveforms, encoder.features(waveforms, layer)):
        (expected,) = encoder.features([waveform], layer)
        assert features.shape == expected.shape == (-(-(1 + (len(waveform) - 400) // 160) // 2), 16)
        np.testing.assert_allclose(features, expected, atol=1e-4)


def test_features_are_the_hidden_states_of_the_model(encoder, model):
    waveform = 0.1 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    expected = model.hidden_states(encoder.front_end(waveform)[None])[2][0]
    np.testing.assert_allclose(encoder.features([waveform], 2)[0], expected.detach(), atol=1e-5)
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (16, 2, 320, 16_000)


def test_the_numbers_of_targets_are_kept(encoder):
    assert list(encoder.model.config.num_targets) == [7, 5]
