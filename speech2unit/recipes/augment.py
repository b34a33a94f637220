"""Speech augmentation: frame rate, vocal tract length, channel, noise, and masked Mel bins."""

from dataclasses import dataclass

import numpy as np
import torch

from speech2unit.encoders.models.log_mel import NUM_MELS, SHIFT_SAMPLES, log_mel


@dataclass(frozen=True)
class Augmentation:
    """Strength of each augmentation; 0 turns an augmentation off."""

    tempo: float  # the frame shift is multiplied by a random factor from e^−tempo to e^tempo
    warp: float  # the formants are multiplied by a random factor from e^−warp to e^warp (vocal tract length)
    equalizer_nats: float  # standard deviation of each of the 5 cosine terms of a random spectral tilt
    noise_probability: float  # probability of stationary noise, 3 to 9 nats below the loudest frame
    max_masked_bins: int  # in one of three examples, a band of up to this number of adjacent Mel bins is masked


def augmented_mel(waveform, augmentation, rng):
    """Return augmented log-Mel energies, which are not normalized.

    Args:
        waveform: `[N]`, float32 at 16 kHz.
        augmentation: an `Augmentation`.
        rng: NumPy random generator.

    Returns:
        Energies `[T, 40]`, and the tempo: the frame shift divided by 10 ms.
    """
    random_tempo = float(np.exp(rng.uniform(-augmentation.tempo, augmentation.tempo)))
    tempo = round(SHIFT_SAMPLES * random_tempo) / SHIFT_SAMPLES  # the frame shift is a whole number of samples
    warp = round(float(np.exp(rng.uniform(-augmentation.warp, augmentation.warp))), 2)
    mel = log_mel(waveform, warp, tempo)
    mel = mel + augmentation.equalizer_nats * _random_curve(rng, 1, 6)
    if rng.random() < augmentation.noise_probability:
        noise_level = mel.mean(1).max() - rng.uniform(3, 9) + _random_curve(rng, 0, 4) / 2
        noise = torch.from_numpy(rng.exponential(1, mel.shape).astype(np.float32) + 0.05).log()
        mel = torch.logaddexp(mel, noise_level + 0.7 * noise)
    return mel, tempo


def mask_bins(frames, augmentation, rng):
    """Set some adjacent Mel bins of normalized frames to 0, which is their mean.

    Args:
        frames: `[T, 40]`, changed in place.
        augmentation: an `Augmentation`, whose `max_masked_bins` is used.
        rng: `numpy.random.Generator`.

    Returns:
        The same frames.
    """
    if augmentation.max_masked_bins and rng.random() < 1 / 3:
        width = rng.integers(1, augmentation.max_masked_bins + 1)
        start = rng.integers(0, NUM_MELS - width)
        frames[:, start : start + width] = 0
    return frames


def _random_curve(rng, first, last):
    """Return a smooth random curve over the Mel bins `[40]`: cosine terms `first` to `last - 1` with N(0, 1) weights."""
    terms = np.arange(first, last)[:, None] * (np.arange(NUM_MELS) + 0.5)[None] * np.pi / NUM_MELS
    return torch.from_numpy((rng.normal(size=len(terms)) @ np.cos(terms)).astype(np.float32))
