"""Augmented log-Mel frames: each augmentation does what it is for, and the generator alone decides the result."""

from dataclasses import replace

import numpy as np
import torch

from speech2unit.encoders.models.log_mel import log_mel
from speech2unit.recipes.augment import Augmentation, augmented_mel, mask_bins

NONE = Augmentation(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0)
ALL = Augmentation(tempo=0.2, warp=0.16, equalizer_nats=0.6, noise_probability=1.0, max_masked_bins=8)
WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)


def test_zeros_change_nothing():
    mel, tempo = augmented_mel(WAVEFORM, NONE, np.random.default_rng(0))
    assert tempo == 1
    assert torch.equal(mel, log_mel(WAVEFORM))
    frames = torch.randn(5, 40)
    assert torch.equal(mask_bins(frames.clone(), NONE, np.random.default_rng(0)), frames)


def test_the_same_generator_gives_the_same_result():
    mel, tempo = augmented_mel(WAVEFORM, ALL, np.random.default_rng(1))
    mel_again, tempo_again = augmented_mel(WAVEFORM, ALL, np.random.default_rng(1))
    assert tempo == tempo_again
    assert torch.equal(mel, mel_again)
    other_mel, _ = augmented_mel(WAVEFORM, ALL, np.random.default_rng(2))
    assert mel.shape != other_mel.shape or not torch.equal(mel, other_mel)


def test_the_tempo_sets_the_frame_shift_in_whole_samples():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mel, tempo = augmented_mel(WAVEFORM, replace(NONE, tempo=0.2), rng)
        assert np.exp(-0.21) < tempo < np.exp(0.21)
        assert (160 * tempo).is_integer()
        assert len(mel) == 1 + (8000 - 400) // int(160 * tempo)


def test_the_equalizer_tilts_every_frame_alike():
    mel, _ = augmented_mel(WAVEFORM, replace(NONE, equalizer_nats=0.6), np.random.default_rng(0))
    tilt = mel - log_mel(WAVEFORM)
    torch.testing.assert_close(tilt, tilt[:1].expand_as(tilt), atol=1e-4, rtol=0)
    assert tilt.abs().max() > 0.1
    assert abs(float(tilt[0].mean())) < 1e-3  # cosine terms leave the level unchanged


def test_noise_fills_quiet_frames_and_never_takes_energy_away():
    waveform = WAVEFORM.copy()
    waveform[4000:] *= 1e-3
    clean = log_mel(waveform)
    mel, _ = augmented_mel(waveform, replace(NONE, noise_probability=1.0), np.random.default_rng(0))
    assert (mel >= clean - 1e-4).all()
    assert (mel - clean)[30:].mean() > 1 > (mel - clean)[:20].mean()


def test_masked_bins_are_adjacent_and_come_in_one_of_three_examples():
    rng = np.random.default_rng(0)
    widths = []
    for _ in range(300):
        is_masked = mask_bins(torch.ones(4, 40), ALL, rng) == 0
        assert (is_masked == is_masked[:1]).all()
        bins = np.flatnonzero(is_masked[0].numpy())
        widths.append(len(bins))
        assert len(bins) == 0 or bins[-1] - bins[0] + 1 == len(bins)
    assert max(widths) == 8
    assert 70 <= np.count_nonzero(widths) <= 130
