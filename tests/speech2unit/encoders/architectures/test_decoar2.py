"""DeCoAR 2.0: the hidden states of s3prl's upstream, from a file with its tensor names."""

import numpy as np
import pytest
import torch

from speech2unit import encoders
from speech2unit.encoders.architectures import decoar2
from storage.weights import save_config, save_tensors

SIZES = dict(num_layers=2, dim=32, ffn_dim=48, num_heads=4, pos_conv_kernel=8, pos_conv_groups=4)
REFERENCE_SIZES = dict(
    encoder_layers=2,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=48,
    encoder_attention_heads=4,
    conv_pos=8,
    conv_pos_groups=4,
)
WAVEFORMS = [np.random.default_rng(0).standard_normal(n).astype(np.float32) / 10 for n in (4000, 560, 9123)]


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """A checkpoint as s3prl loads it."""
    from s3prl.upstream.decoar2 import decoar2 as reference

    for name, value in REFERENCE_SIZES.items():
        monkeypatch.setitem(reference.args, name, value)
    torch.manual_seed(0)
    tensors = reference.Decoar2().state_dict()
    tensors = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in tensors.items()}
    tensors["predictor.weight"] = torch.ones(2, 2)  # only pre-training needs it
    torch.save(dict(model=tensors), tmp_path / "checkpoint_decoar2.pt")
    return tmp_path / "checkpoint_decoar2.pt"


@pytest.fixture
def folder(checkpoint, tmp_path):
    """Folder of the converted encoder."""
    tensors, report = decoar2.convert(torch.load(checkpoint)["model"], SIZES)
    assert [row["source"] for row in report if not row["name"]] == ["predictor.weight"]
    save_tensors(tmp_path / "model.safetensors", tensors)
    save_config(tmp_path / "config.json", dict(architecture="decoar2", **SIZES))
    return tmp_path


@pytest.mark.slow
def test_hidden_states_equal_those_of_s3prl(checkpoint, folder):
    from s3prl.upstream.decoar2.expert import UpstreamExpert

    upstream, encoder = UpstreamExpert(str(checkpoint)).eval(), encoders.load(folder)
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (32, 2, 320, 16_000)
    with torch.no_grad():
        expected = [upstream([torch.from_numpy(waveform)])["hidden_states"] for waveform in WAVEFORMS]
    for layer in range(3):
        for features, states in zip(encoder.features(WAVEFORMS, layer), expected):
            np.testing.assert_allclose(features, states[layer][0], atol=1e-4)


def test_a_waveform_shorter_than_two_windows_is_refused(folder):
    message = "a waveform must be at least one frame long; expected at least 560 samples, got 559"
    with pytest.raises(ValueError, match=message):
        encoders.load(folder).features([WAVEFORMS[1][:-1]], 1)
