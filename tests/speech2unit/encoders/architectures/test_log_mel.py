"""The log-Mel encoder, loaded from its folder."""

import numpy as np
import torch

from speech2unit import encoders
from speech2unit.encoders.models.log_mel import log_mel
from storage.weights import save_config, save_tensors

WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(5000)).astype(np.float32)


def test_a_loaded_encoder_computes_normalised_pairs_of_frames(tmp_path):
    save_tensors(tmp_path / "model.safetensors", dict(mean=torch.ones(40), std=torch.full((40,), 2.0)))
    save_config(tmp_path / "config.json", dict(architecture="log_mel", subtract_loudness=False))
    encoder = encoders.load(tmp_path)
    long, short = encoder.features([WAVEFORM, WAVEFORM[:1000]], 0)
    assert long.shape == (15, 80) and short.shape == (2, 80) and long.dtype == np.float32
    assert (encoder.num_frames(len(WAVEFORM)), encoder.num_frames(1000)) == (15, 2)
    np.testing.assert_allclose(long[0], (log_mel(WAVEFORM)[:2].flatten() - 1) / 2, atol=1e-5)
    assert (encoder.sample_rate, encoder.hop_length, encoder.dim, encoder.num_layers) == (16_000, 320, 80, 0)
