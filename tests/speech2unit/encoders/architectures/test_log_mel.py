"""The log-Mel front end: the same numbers as Kaldi, pairs of frames, with and without loudness."""

import numpy as np
import pytest
import torch
from torchaudio.compliance import kaldi

from speech2unit import encoders
from speech2unit.encoders.architectures.log_mel import LogMel
from speech2unit.encoders.models.log_mel import FrontEnd, log_mel, stack_pairs, without_loudness
from storage.weights import save_config, save_tensors

WAVEFORM = (0.1 * np.random.default_rng(0).standard_normal(5000)).astype(np.float32)


def test_it_is_kaldis_filter_bank_of_40_bins_under_a_hamming_window():
    expected = kaldi.fbank(
        torch.from_numpy(WAVEFORM)[None] * 32768, num_mel_bins=40, sample_frequency=16000, window_type="hamming", dither=0.0
    )
    assert torch.equal(log_mel(WAVEFORM), expected) and expected.shape == (1 + (5000 - 400) // 160, 40)


@pytest.mark.parametrize("tempo", [1.0, 0.93])
def test_frames_of_a_block_are_those_of_the_whole(monkeypatch, tempo):
    whole = log_mel(WAVEFORM, tempo=tempo)
    for num_frames in (1, 7, len(whole)):
        monkeypatch.setattr("speech2unit.encoders.models.log_mel.BLOCK_FRAMES", num_frames)
        assert torch.allclose(log_mel(WAVEFORM, tempo=tempo), whole, atol=1e-4)


def test_it_follows_the_definition_of_kaldi():
    """Mean removed, pre-emphasis 0.97, Hamming, power spectrum of 512, triangles on the Mel scale from 20 Hz, log."""
    frame = WAVEFORM[160:560].astype(np.float64) * 32768
    frame -= frame.mean()
    frame = np.append(frame[0] * 0.03, frame[1:] - 0.97 * frame[:-1]) * (0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 399))
    power = np.abs(np.fft.rfft(frame, 512)) ** 2
    to_mel = lambda hz: 1127 * np.log(1 + hz / 700)  # noqa: E731
    edges, mels = np.linspace(to_mel(20), to_mel(8000), 42), to_mel(np.arange(257) * 16000 / 512)
    rise, fall = (mels - edges[:-2, None]) / np.diff(edges)[:-1, None], (edges[2:, None] - mels) / np.diff(edges)[1:, None]
    expected = np.log(np.maximum(np.minimum(rise, fall), 0)[:, :256] @ power[:256])
    np.testing.assert_allclose(log_mel(WAVEFORM)[1], expected, atol=1e-3)


def test_pairs_stand_side_by_side_and_an_odd_tail_is_filled_with_zeros():
    mel = torch.arange(12.0).reshape(3, 4)
    assert stack_pairs(mel).tolist() == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 11, 0, 0, 0, 0]]
    assert stack_pairs(mel[:2]).shape == (1, 8) and stack_pairs(mel[:1]).shape == (1, 8)


def test_without_its_level_a_louder_recording_is_the_same():
    quiet, loud = log_mel(WAVEFORM / 8), log_mel(WAVEFORM)
    torch.testing.assert_close(without_loudness(quiet), without_loudness(loud), atol=1e-3, rtol=0)
    assert (loud - quiet).mean() == pytest.approx(2 * np.log(8), abs=1e-3)


def test_removing_the_level_subtracts_one_number_and_twice_changes_nothing():
    mel = torch.randn(30, 40) + 7
    removed = without_loudness(mel)
    difference = mel - removed
    torch.testing.assert_close(difference, difference[:1, :1].expand_as(difference))
    torch.testing.assert_close(without_loudness(removed), removed, atol=1e-5, rtol=0)
    assert mel.mean() <= difference[0, 0] <= mel.mean(1).max()  # the mean of the louder frames


def test_one_frame_is_enough():
    assert without_loudness(log_mel(WAVEFORM[:400])).isfinite().all()


@pytest.mark.parametrize("subtract_loudness", [False, True])
def test_the_front_end_normalises(subtract_loudness):
    mel, mean, std = log_mel(WAVEFORM), torch.linspace(1, 2, 40), torch.linspace(2, 3, 40)
    expected = ((without_loudness(mel) if subtract_loudness else mel) - mean) / std
    torch.testing.assert_close(FrontEnd(mean, std, subtract_loudness)(WAVEFORM), stack_pairs(expected))
    torch.testing.assert_close(FrontEnd(mean, std, subtract_loudness, frame_ms=10)(WAVEFORM), expected)


@pytest.mark.parametrize("num_samples", [400, 559, 560, 719, 720, 16_000, 16_080])
def test_so_many_frames_come_as_are_announced(num_samples):
    for frame_ms in (10, 20):
        end = FrontEnd(torch.zeros(40), torch.ones(40), False, frame_ms)
        assert end(torch.zeros(num_samples)).shape == (end.num_frames(num_samples), end.dim)
        assert (end.hop_length, end.dim) == (16 * frame_ms, 4 * frame_ms)


def test_the_encoder_comes_back_from_its_folder(tmp_path):
    save_tensors(tmp_path / "model.safetensors", dict(mean=torch.ones(40), std=torch.full((40,), 2.0)))
    save_config(tmp_path / "config.json", dict(architecture="log_mel", subtract_loudness=False))
    encoder = encoders.load(tmp_path)
    one, two = encoder.features([WAVEFORM, WAVEFORM[:1000]], 0)
    assert one.shape == (15, 80) and two.shape == (2, 80) and one.dtype == np.float32
    np.testing.assert_allclose(one[0], (log_mel(WAVEFORM)[:2].flatten() - 1) / 2, atol=1e-5)
    assert (encoder.sample_rate, encoder.hop_length, encoder.dim, encoder.num_layers) == (16_000, 320, 80, 0)


def test_an_unknown_architecture_and_layer_are_refused(tmp_path):
    save_config(tmp_path / "config.json", dict(architecture="logmel"))
    with pytest.raises(
        ValueError, match="'architecture' names a file of speech2unit/encoders/architectures; .* did you mean \"log_mel\""
    ):
        encoders.load(tmp_path)
    with pytest.raises(ValueError, match=f'an encoder is a folder with config.json .* did you mean "{tmp_path.name}"'):
        encoders.load(f"{tmp_path}s")
    with pytest.raises(ValueError, match="here: the encoder must have the layer; expected 0 to 0, got 1; change 'layer'"):
        encoders.check_layer(type("E", (), dict(num_layers=0)), 1, "here")


def test_what_no_encoder_can_read_is_refused_by_its_number():
    encoder = LogMel(FrontEnd(torch.zeros(40), torch.ones(40), False, 20))
    assert np.array_equal(encoders.encode(encoder, [WAVEFORM], 0)[0], encoder.features([WAVEFORM], 0)[0])
    assert np.array_equal(encoders.encode(encoder, [WAVEFORM.astype(np.float64)], 0)[0], encoder.features([WAVEFORM], 0)[0])
    assert encoders.encode(encoder, [], 0) == []
    with pytest.raises(ValueError, match=r"waveform 0: .*got \[\]; .*pass a single waveform as a list of one"):
        encoders.encode(encoder, WAVEFORM, 0)
    for wrong, got in ((WAVEFORM[:399], r"\[399\]"), (np.stack([WAVEFORM, WAVEFORM]), rf"\[2, {len(WAVEFORM)}\]")):
        with pytest.raises(ValueError, match=f"waveform 1: a waveform is mono and at least one frame long; .*got {got}"):
            encoders.encode(encoder, [WAVEFORM, wrong], 0)
    with pytest.raises(ValueError, match="layer: the encoder must have the layer; expected 0 to 0, got 3"):
        encoders.encode(encoder, [WAVEFORM], 3)
