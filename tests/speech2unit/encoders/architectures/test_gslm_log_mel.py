"""GSLM's log-Mel features: the same numbers as fairseq's reader."""

import importlib

import numpy as np
import pytest
import soundfile

from speech2unit import encoders
from speech2unit.encoders.architectures.gslm_log_mel import convert
from storage.weights import save_config

WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(5000)).astype(np.float32)


@pytest.fixture
def encoder(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="gslm_log_mel"))
    return encoders.load(tmp_path)


@pytest.mark.parametrize("num_samples", [400, 4321, 5000])
def test_features_equal_those_of_fairseqs_reader(encoder, tmp_path, num_samples):
    fairseq_module = importlib.import_module("fairseq.examples.textless_nlp.gslm.speech2unit.pretrained.logmel_feature_reader")
    soundfile.write(tmp_path / "a.wav", WAVEFORM[:num_samples], 16_000, subtype="FLOAT")
    expected = fairseq_module.LogMelFeatureReader().get_feats(str(tmp_path / "a.wav")).numpy()
    features, _ = encoder.features([WAVEFORM[:num_samples], WAVEFORM], 0)
    assert features.shape == expected.shape == (encoder.num_frames(num_samples), 80)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected, atol=1e-4)


def test_members(encoder):
    assert (encoder.dim, encoder.num_layers, encoder.hop_length, encoder.sample_rate) == (80, 0, 160, 16_000)


def test_nothing_is_learned():
    assert convert({}, {}) == ({}, [])
