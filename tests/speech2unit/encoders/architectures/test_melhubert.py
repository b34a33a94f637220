"""MelHuBERT: the published size, padding that changes nothing, the encoder from its folder."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from storage.weights import save_config, save_tensors
from workflow.scripts.config_files import default_config

TINY = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7, 5))
LENGTHS = torch.tensor([9, 4, 1])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MelHuBERTModel(TINY).eval()


@pytest.fixture
def frames():
    return torch.randn(3, 9, 80, generator=torch.Generator().manual_seed(1))


def test_the_published_sizes_have_the_published_number_of_parameters():
    config = default_config()
    for sizes in (config["pretrain_melhubert"]["published"]["sizes"], config["convert_encoder"]["melhubert"]["sizes"]):
        known = {name: sizes[name] for name in MelHuBERTConfig.__dataclass_fields__ if name in sizes}
        with torch.device("meta"):
            model = MelHuBERTModel(MelHuBERTConfig(**dict(num_targets=[512]) | known))
        assert sum(p.numel() for p in model.parameters()) == 90_231_424


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_padding_changes_no_frame_of_any_layer(model, frames, padding):
    padded = frames.clone()
    for row, length in zip(padded, LENGTHS):
        row[length:] = padding
    states = model.hidden_states(padded, LENGTHS)
    assert len(states) == 3
    for i, length in enumerate(LENGTHS):
        for together, alone in zip(states, model.hidden_states(frames[i : i + 1, :length])):
            torch.testing.assert_close(together[i, :length], alone[0], atol=1e-5, rtol=0)


def test_every_frame_sees_every_other(model, frames):
    changed = frames.clone()
    changed[0, 8] += 1
    difference = (model.hidden_states(changed)[2] - model.hidden_states(frames)[2]).abs().amax(-1)
    assert (difference[0] > 1e-5).all() and difference[1:].max() == 0


def test_last_layer_stops_there_with_the_same_states(model, frames):
    some = model.hidden_states(frames, LENGTHS, 1)
    assert len(some) == 2
    assert all(torch.equal(a, b) for a, b in zip(some, model.hidden_states(frames, LENGTHS)))


def test_logits_of_each_set_of_targets(model, frames):
    assert [logits.shape for logits in model(frames, LENGTHS)] == [(3, 9, 7), (3, 9, 5)]


@pytest.fixture
def encoder(model, tmp_path):
    save_tensors(tmp_path / "model.safetensors", model.state_dict() | dict(mean=torch.zeros(40), std=torch.ones(40)))
    save_config(tmp_path / "config.json", dict(architecture="melhubert", subtract_loudness=True) | asdict(TINY))
    return encoders.load(tmp_path)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_features_of_a_batch_are_those_of_each_alone(encoder, layer):
    rng = np.random.default_rng(0)
    waveforms = [0.1 * rng.standard_normal(n).astype(np.float32) for n in (9000, 400, 3333, 720)]
    together = encoder.features(waveforms, layer)
    for waveform, found in zip(waveforms, together):
        alone = encoder.features([waveform], layer)[0]
        assert found.shape == alone.shape == (-(-(1 + (len(waveform) - 400) // 160) // 2), 16)
        np.testing.assert_allclose(found, alone, atol=1e-4)


def test_the_encoder_comes_back_from_its_folder(encoder, model):
    waveform = 0.1 * np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    expected = model.hidden_states(encoder.front_end(waveform)[None])[2][0]
    np.testing.assert_allclose(encoder.features([waveform], 2)[0], expected.detach(), atol=1e-5)
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (16, 2, 320, 16_000)


def test_num_targets_come_back_as_they_were(encoder):
    assert list(encoder.model.config.num_targets) == [7, 5]
