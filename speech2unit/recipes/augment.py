"""Speech as another speaker would have said it elsewhere: what an encoder should not hear a difference in."""

from dataclasses import dataclass

import numpy as np
import torch

from speech2unit.encoders.models.log_mel import NUM_MELS, log_mel


@dataclass(frozen=True)
class Augmentation:
    """How far the input is moved. All zero: not at all."""

    tempo: float  # frames come e^±tempo times as far apart
    warp: float  # formants move by e^±warp (vocal tract length)
    equalizer_nats: float  # deviation of each of 5 cosine terms of a random spectral tilt
    noise_probability: float  # of stationary noise, 3 to 9 nats below the loudest frame
    max_masked_bins: int  # up to so many neighbouring Mel bins are set to their mean, every third time


def augmented_mel(waveform, how, rng):
    """Waveform `[N]` → log-Mel energies `[T', 40]` (not normalised) and the tempo that they were taken at."""
    tempo = round(160 * float(np.exp(rng.uniform(-how.tempo, how.tempo)))) / 160  # whole samples from frame to frame
    warp = round(float(np.exp(rng.uniform(-how.warp, how.warp))), 2)
    mel = log_mel(waveform, warp, tempo)
    mel = mel + how.equalizer_nats * _cosines(rng, 1, 6)
    if rng.random() < how.noise_probability:
        floor = mel.mean(1).max() - rng.uniform(3, 9) + _cosines(rng, 0, 4) / 2
        grain = torch.from_numpy(rng.exponential(1, mel.shape).astype(np.float32) + 0.05).log()
        mel = torch.logaddexp(mel, floor + 0.7 * grain)
    return mel, tempo


def mask_bins(frames, how, rng):
    """Normalised frames `[T, 40]` with some neighbouring bins set to 0, their mean."""
    if how.max_masked_bins and rng.random() < 1 / 3:
        width = rng.integers(1, how.max_masked_bins + 1)
        start = rng.integers(0, NUM_MELS - width)
        frames[:, start : start + width] = 0
    return frames


def _cosines(rng, first, last):
    """Random smooth curve over the Mel bins `[40]`: cosine terms first … last − 1 with N(0, 1) weights."""
    terms = np.arange(first, last)[:, None] * (np.arange(NUM_MELS) + 0.5)[None] * np.pi / NUM_MELS
    return torch.from_numpy((rng.normal(size=len(terms)) @ np.cos(terms)).astype(np.float32))
