"""Trunks: what an encoder's `features` are made of, for gradients."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures.decoar2 import build_model
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.encoders.models.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from storage.weights import save_config, save_tensors

DECOAR2 = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, pos_conv_kernel=8, pos_conv_groups=4)
WAV2VEC2 = dict(
    conv_layers=[[16, 10, 5], [24, 8, 4]], conv_bias=False, conv_norm="group", normalize_waveform=False, pre_norm=False, num_buckets=0,
    max_distance=0, **DECOAR2,
)  # fmt: skip
WAVLM = WAV2VEC2 | dict(conv_norm="layer", normalize_waveform=True, pre_norm=True, num_buckets=8, max_distance=20)
MELHUBERT = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(7,))
WAVEFORMS = [np.random.default_rng(0).standard_normal(n).astype(np.float32) / 10 for n in (4000, 900, 2345)]


def drawn(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(parameter[0].numel(), 4) ** 0.5)
    return model.state_dict()


FOLDERS = dict(
    melhubert=lambda: (
        drawn(MelHuBERTModel(MELHUBERT)) | dict(mean=torch.zeros(40), std=torch.ones(40)), asdict(MELHUBERT) | dict(subtract_loudness=True)
    ),
    wav2vec2=lambda: (drawn(Wav2Vec2Model(Wav2Vec2Config(**WAV2VEC2))), WAV2VEC2),
    wavlm=lambda: (drawn(Wav2Vec2Model(Wav2Vec2Config(**WAVLM))), WAVLM),
    decoar2=lambda: (drawn(build_model(DECOAR2)), DECOAR2),
)  # fmt: skip


@pytest.fixture(params=FOLDERS)
def folder(request, tmp_path):
    tensors, settings = FOLDERS[request.param]()
    save_tensors(tmp_path / "model.safetensors", tensors)
    architecture = {"wavlm": "wav2vec2"}.get(request.param, request.param)
    save_config(tmp_path / "config.json", settings | dict(architecture=architecture))
    return tmp_path


def states_of(trunk, waveforms):
    frames = [trunk.frames(torch.from_numpy(waveform)) for waveform in waveforms]
    x = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    valid_mask = torch.arange(x.shape[1]) < torch.tensor([[len(f)] for f in frames])
    states = [trunk.embed(x, valid_mask)]
    for step in trunk.layer_functions(states[0], valid_mask):
        states.append(step(states[-1]))
    return [[state[i, : len(f)] for state in states] for i, f in enumerate(frames)]


def test_the_states_of_a_batch_are_the_encoders_features(folder):
    encoder, trunk = encoders.load(folder), encoders.load_trunk(folder)
    found = states_of(trunk, WAVEFORMS)
    names = ("sample_rate", "hop_length", "dim", "num_layers")
    assert [getattr(trunk, name) for name in names] == [getattr(encoder, name) for name in names]
    assert len(found[0]) == trunk.num_layers + 1 and len(trunk.blocks) == trunk.num_layers
    for layer in range(trunk.num_layers + 1):
        for states, wanted in zip(found, encoder.features(WAVEFORMS, layer)):
            np.testing.assert_allclose(states[layer].detach(), wanted, atol=1e-4)


def test_every_parameter_that_makes_the_last_state_can_be_trained(folder):
    trunk = encoders.load_trunk(folder).requires_grad_(True)
    sum(states[-1].square().sum() for states in states_of(trunk, WAVEFORMS)).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trunk.parameters())


def test_the_positional_convolution_has_the_gradient_of_pytorchs():
    from speech2unit.encoders.models.fast_layers import PositionalConv

    torch.manual_seed(0)
    ours, theirs = PositionalConv(8, 6, 2), torch.nn.Conv1d(8, 8, 6, padding=3, groups=2)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 31, 8)
    found, expected = ours(x), theirs(x.mT)[..., :31].mT
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    weights = torch.randn(found.shape)
    for out in (found, expected):
        (out * weights).sum().backward()
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad, atol=1e-4, rtol=1e-4)


def test_an_encoder_without_blocks_has_no_trunk(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="log_mel", subtract_loudness=True))
    with pytest.raises(ValueError, match="need an encoder with transformer blocks; .* got 'log_mel'; choose another encoder"):
        encoders.load_trunk(tmp_path)
