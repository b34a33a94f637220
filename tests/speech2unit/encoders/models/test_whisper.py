"""Whisper's front end: log-Mel frames of transformers, convolutions block by block, padding, positions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speech2unit.encoders.models import chunks, frame_transformer, whisper
from speech2unit.encoders.models.whisper import FrontEnd, WhisperConfig, WhisperModel, log_mel, num_frames, sinusoids
from tests.random_models import WHISPER, with_random_weights

LENGTHS = (400, 3000, 16_000, 16_159, 50_001)  # samples; odd and even numbers of log-Mel frames
RNG = np.random.default_rng(0)
NOISE = torch.from_numpy((RNG.standard_normal(50_001) * np.linspace(0.001, 0.5, 50_001)).astype(np.float32))


@pytest.fixture
def front_end():
    return with_random_weights(FrontEnd(WhisperConfig(**WHISPER)))


@pytest.mark.parametrize("num_mels", [80, 128])
@pytest.mark.parametrize("length", LENGTHS)
def test_log_mel_frames_are_those_of_transformers(num_mels, length):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=num_mels)
    (expected,) = extractor(NOISE[:length].numpy(), sampling_rate=16_000, padding="do_not_pad").input_features
    np.testing.assert_allclose(log_mel(NOISE[:length], num_mels), expected.T, atol=1e-6)
    assert expected.shape == (num_mels, length // 160)


def test_log_mel_frames_are_the_same_in_blocks(monkeypatch):
    expected = log_mel(NOISE, 80)
    monkeypatch.setattr(whisper, "BLOCK_FRAMES", 7)
    torch.testing.assert_close(log_mel(NOISE, 80), expected, atol=1e-6, rtol=0)


def convolve_whole(front_end, waveform):
    """Return the frames that PyTorch's convolutions compute."""
    first, second = front_end.convs
    weights = [conv.weight.unflatten(1, (3, -1)).transpose(1, 2) for conv in (first, second)]
    x = F.gelu(F.conv1d(log_mel(waveform, 80).T[None], weights[0], first.bias, padding=1))
    return F.gelu(F.conv1d(x, weights[1], second.bias, stride=2, padding=1))[0].T


@torch.no_grad()
@pytest.mark.parametrize("block", [1, 3, 100])
@pytest.mark.parametrize("length", LENGTHS)
def test_convolutions_in_blocks_equal_those_of_the_whole(front_end, monkeypatch, length, block):
    monkeypatch.setattr(frame_transformer, "CPU_FRAMES", block)
    frames = front_end(NOISE[:length])
    assert len(frames) == num_frames(length) == -(-(length // 160) // 2)
    torch.testing.assert_close(frames, convolve_whole(front_end, NOISE[:length]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_log_mel_frames_are_not_computed_in_bfloat16(front_end):
    with torch.autocast("cpu", torch.bfloat16):
        frames = front_end(NOISE[:16_000])
    assert frames.dtype == torch.bfloat16
    seen = []
    front_end.convolve = lambda mel, start, stop: seen.append(mel) or mel
    with torch.autocast("cpu", torch.bfloat16):
        front_end(NOISE[:16_000])
    assert torch.equal(seen[0], log_mel(NOISE[:16_000], 80))


@torch.no_grad()
def test_a_padded_front_end_adds_the_frames_of_silence(front_end):
    padded = FrontEnd(WhisperConfig(**WHISPER | dict(padded=True)))
    padded.load_state_dict(front_end.state_dict())
    silence = torch.zeros(600 * 320 - 16_000)
    torch.testing.assert_close(padded(NOISE[:16_000]), front_end(torch.cat([NOISE[:16_000], silence])))
    assert len(padded(NOISE[:16_000])) == 600


@torch.no_grad()
@pytest.mark.parametrize("num_seconds", [1.0, 1.2, 1.25, 2.0, 3.1])
def test_the_last_of_several_padded_windows_is_full(monkeypatch, num_seconds):
    monkeypatch.setattr(chunks, "OVERLAP_FRAMES", 8)
    front_end = with_random_weights(FrontEnd(WhisperConfig(**WHISPER | dict(padded=True, num_positions=60))))
    waveform = NOISE[: int(num_seconds * 16_000)]
    windows = chunks.split(front_end(waveform), 60)
    last = -(-num_frames(len(waveform)) // 44) - 1 if num_frames(len(waveform)) > 60 else 0
    assert len(windows[last]) == 60


def test_positions_are_the_published_ones():
    from transformers.models.whisper.modeling_whisper import sinusoids as published_sinusoids

    torch.testing.assert_close(sinusoids(1500, 384), published_sinusoids(1500, 384), atol=2e-4, rtol=0)  # float32 there
    torch.testing.assert_close(sinusoids(50, 384), published_sinusoids(50, 384), atol=1e-5, rtol=0)


def test_more_frames_than_positions_are_refused():
    model = WhisperModel(WhisperConfig(**WHISPER))
    message = "frames that are computed together must have positions; expected at most 600 frames, got 601; lower 'max_crop_fra"
    with pytest.raises(ValueError, match=message):
        model.hidden_state([torch.zeros(601, 16)], 1)


@pytest.mark.parametrize("sizes", [dict(num_heads=3), dict(dim=15, num_heads=5), dict(num_positions=500)])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="whisper sizes: .*; take the sizes of the checkpoint"):
        WhisperConfig(**WHISPER | sizes)
