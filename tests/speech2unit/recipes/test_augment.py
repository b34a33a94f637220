"""Augmented log-Mel frames: moved as far as asked, the same for the same generator."""

from dataclasses import replace

import numpy as np
import torch

from speech2unit.encoders.models.log_mel import log_mel
from speech2unit.recipes.augment import Augmentation, augmented_mel, mask_bins

NONE = Augmentation(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0)
ALL = Augmentation(tempo=0.2, warp=0.16, equalizer_nats=0.6, noise_probability=1.0, max_masked_bins=8)
WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)


def test_all_zero_changes_nothing():
    mel, tempo = augmented_mel(WAVEFORM, NONE, np.random.default_rng(0))
    assert tempo == 1 and torch.equal(mel, log_mel(WAVEFORM))
    frames = torch.randn(5, 40)
    assert torch.equal(mask_bins(frames.clone(), NONE, np.random.default_rng(0)), frames)


def test_one_generator_one_result():
    one, two, other = (augmented_mel(WAVEFORM, ALL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one[0], two[0]) and one[1] == two[1]
    assert one[0].shape != other[0].shape or not torch.equal(one[0], other[0])


def test_the_tempo_is_the_distance_of_the_frames_in_whole_samples():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mel, tempo = augmented_mel(WAVEFORM, replace(NONE, tempo=0.2), rng)
        assert np.exp(-0.21) < tempo < np.exp(0.21) and (160 * tempo).is_integer()
        assert len(mel) == 1 + (8000 - 400) // int(160 * tempo)


def test_the_equalizer_tilts_every_frame_alike():
    mel, _ = augmented_mel(WAVEFORM, replace(NONE, equalizer_nats=0.6), np.random.default_rng(0))
    tilt = mel - log_mel(WAVEFORM)
    torch.testing.assert_close(tilt, tilt[:1].expand_as(tilt), atol=1e-4, rtol=0)
    assert tilt.abs().max() > 0.1 and abs(float(tilt[0].mean())) < 1e-3  # cosine terms: the level stays


def test_noise_fills_the_valleys_and_never_takes_energy_away():
    quiet = WAVEFORM.copy()
    quiet[4000:] *= 1e-3
    clean = log_mel(quiet)
    mel, _ = augmented_mel(quiet, replace(NONE, noise_probability=1.0), np.random.default_rng(0))
    assert (mel >= clean - 1e-4).all()
    assert (mel - clean)[30:].mean() > 1 > (mel - clean)[:20].mean()


def test_masked_bins_are_neighbours_and_every_third_time():
    rng, widths = np.random.default_rng(0), []
    for _ in range(300):
        zero = mask_bins(torch.ones(4, 40), ALL, rng) == 0
        assert (zero == zero[:1]).all()
        bins = np.flatnonzero(zero[0].numpy())
        widths.append(len(bins))
        assert len(bins) == 0 or bins[-1] - bins[0] + 1 == len(bins)
    assert max(widths) == 8 and 70 <= np.count_nonzero(widths) <= 130
