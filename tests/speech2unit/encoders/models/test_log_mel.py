"""The log-Mel front end: the same numbers as Kaldi, pairs of frames, with and without loudness."""

import numpy as np
import pytest
import torch
from torchaudio.compliance import kaldi

from speech2unit.encoders.models.log_mel import FrontEnd, load_front_end, log_mel, stack_pairs, without_loudness
from storage.weights import save_config, save_tensors

WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(5000)).astype(np.float32)


def test_log_mel_is_the_filter_bank_of_kaldi():
    samples = torch.from_numpy(WAVEFORM)[None] * 32768
    expected = kaldi.fbank(samples, num_mel_bins=40, sample_frequency=16000, window_type="hamming", dither=0.0)
    assert torch.equal(log_mel(WAVEFORM), expected)
    assert expected.shape == (1 + (5000 - 400) // 160, 40)


@pytest.mark.parametrize("tempo", [1.0, 0.93])
def test_blocks_do_not_change_frames(monkeypatch, tempo):
    expected = log_mel(WAVEFORM, tempo=tempo)
    for num_frames in (1, 7, len(expected)):
        monkeypatch.setattr("speech2unit.encoders.models.log_mel.BLOCK_FRAMES", num_frames)
        assert torch.allclose(log_mel(WAVEFORM, tempo=tempo), expected, atol=1e-4)


def test_log_mel_follows_the_definition_of_kaldi():
    """Without mean, pre-emphasis 0.97, Hamming, power spectrum of 512, triangles on the Mel scale from 20 Hz, logarithm."""
    frame = WAVEFORM[160:560].astype(np.float64) * 32768
    frame -= frame.mean()
    emphasized = np.append(frame[0] * 0.03, frame[1:] - 0.97 * frame[:-1])
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399)
    power = np.abs(np.fft.rfft(emphasized * window, 512)) ** 2

    def to_mel(hz):
        return 1127 * np.log(1 + hz / 700)

    edges = np.linspace(to_mel(20), to_mel(8000), 42)
    mels = to_mel(np.arange(257) * 16000 / 512)
    rise = (mels - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - mels) / np.diff(edges)[1:, None]
    triangles = np.maximum(np.minimum(rise, fall), 0)
    np.testing.assert_allclose(log_mel(WAVEFORM)[1], np.log(triangles[:, :256] @ power[:256]), atol=1e-3)


def test_pairs_of_frames_are_joined_and_an_odd_last_frame_is_followed_by_zeros():
    mel = torch.arange(12.0).reshape(3, 4)
    assert stack_pairs(mel).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 0, 0, 0, 0]]
    assert stack_pairs(mel[:2]).shape == (1, 8)
    assert stack_pairs(mel[:1]).shape == (1, 8)


def test_without_loudness_a_louder_recording_is_the_same():
    quiet, loud = log_mel(WAVEFORM / 8), log_mel(WAVEFORM)
    torch.testing.assert_close(without_loudness(quiet), without_loudness(loud), atol=1e-3, rtol=0)
    assert (loud - quiet).mean() == pytest.approx(2 * np.log(8), abs=1e-3)


def test_loudness_is_one_number_and_subtracting_it_twice_changes_nothing():
    mel = torch.randn(30, 40) + 7
    normalized = without_loudness(mel)
    loudness = mel - normalized
    torch.testing.assert_close(loudness, loudness[:1, :1].expand_as(loudness))
    torch.testing.assert_close(without_loudness(normalized), normalized, atol=1e-5, rtol=0)
    assert mel.mean() <= loudness[0, 0] <= mel.mean(1).max()  # the mean of the louder frames


def test_a_single_frame_has_a_loudness():
    assert without_loudness(log_mel(WAVEFORM[:400])).isfinite().all()


@pytest.mark.parametrize("subtract_loudness", [False, True])
def test_the_front_end_normalises(subtract_loudness):
    mel, mean, std = log_mel(WAVEFORM), torch.linspace(1, 2, 40), torch.linspace(2, 3, 40)
    expected = ((without_loudness(mel) if subtract_loudness else mel) - mean) / std
    torch.testing.assert_close(FrontEnd(mean, std, subtract_loudness)(WAVEFORM), stack_pairs(expected))
    torch.testing.assert_close(FrontEnd(mean, std, subtract_loudness, frame_ms=10)(WAVEFORM), expected)


@pytest.mark.parametrize("num_samples", [400, 559, 560, 719, 720, 16_000, 16_080])
@pytest.mark.parametrize("frame_ms", [10, 20])
def test_the_number_of_frames_is_known_in_advance(num_samples, frame_ms):
    front_end = FrontEnd(torch.zeros(40), torch.ones(40), False, frame_ms)
    assert front_end(torch.zeros(num_samples)).shape == (front_end.num_frames(num_samples), front_end.dim)
    assert (front_end.hop_length, front_end.dim) == (16 * frame_ms, 4 * frame_ms)


def test_a_config_of_an_earlier_version_is_an_error_that_says_what_to_do(tmp_path):
    save_tensors(tmp_path / "model.safetensors", dict(mean=torch.zeros(40), std=torch.ones(40)))
    save_config(tmp_path / "config.json", dict(architecture="log_mel", level_removed=True))
    with pytest.raises(ValueError, match="has the setting 'subtract_loudness'.*make the encoder again: delete its folder"):
        load_front_end(tmp_path / "model.safetensors", tmp_path / "config.json")
