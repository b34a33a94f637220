"""Speech and clips for corpora that are made here: levels, positions, colours of noise."""

import numpy as np
import pytest

from speech2unit.corpora.synthesizer import coloured_noise, make_clip


def test_a_clip_holds_the_speech_at_a_level_above_the_noise():
    speech = np.sin(np.arange(8000) * 0.2).astype(np.float32)
    settings = dict(sample_rate=16_000, num_samples=16_000, snr_db=[20, 20], peak_db=[-6, -6])
    clip = make_clip(speech, rng=np.random.default_rng(3), **settings)
    silence = make_clip(speech[:0], rng=np.random.default_rng(3), **settings)
    assert np.abs(clip).max() == pytest.approx(0.5, abs=0.15)
    assert np.mean(silence**2) == pytest.approx((0.5 / 5) ** 2 / 100, rel=0.05)
    assert len(make_clip(np.tile(speech, 9), rng=np.random.default_rng(3), **settings)) == 16_000


def test_speech_begins_where_it_is_told_to():
    speech = np.sin(np.arange(8000) * 0.2).astype(np.float32)
    settings = dict(sample_rate=16_000, num_samples=16_000, snr_db=[90, 90], peak_db=[-6, -6], start=3000)
    clip = make_clip(speech, rng=np.random.default_rng(3), **settings)
    np.testing.assert_allclose(clip[3000:11_000], speech / speech.max() * 10 ** (-6 / 20), atol=1e-3)
    assert np.abs(clip[:3000]).max() < 1e-3 and np.abs(clip[11_000:]).max() < 1e-3


@pytest.mark.parametrize("exponent", [0, 1, 2])
def test_noise_has_its_colour(exponent):
    noise = coloured_noise(16_000, exponent=exponent, lowest=20 / 16_000, rng=np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert np.mean(noise**2) == pytest.approx(1)
    assert np.log2(power[500:1000].mean() / power[1000:2000].mean()) == pytest.approx(exponent, abs=0.3)
