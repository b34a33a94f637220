"""Waveform, spectrogram and strip show the same time; the strip's boxes are the runs."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from speech2unit import encoders
from speech2unit.corpora.audio import decode
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import NUM_MELS, log_mel
from speech2unit.plot_utterances import ENVELOPE_POINTS, choose, draw, envelope, mel_band, plot_utterances
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from tests.factories import manifest_row

RATE, HOP = 16_000, 320
TONE = (0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)).astype(np.float32)
UNITS, DURATIONS = [7, 3, 7], [10, 30, 9]


def row(number, label, split="dev", speed=1.0):
    return manifest_row(f"u{number}-{label}", split=split, labels=[label], speed=speed)


def panels(max_seconds=2.0):
    return draw([("u1: yes", TONE, UNITS, DURATIONS)], RATE, HOP, max_seconds).axes


def test_dev_rows_as_recorded_with_different_labels_first():
    rows = [row(i, "a") for i in range(20)] + [row(20, "b"), row(21, "c"), row(22, "d", split="train"), row(23, "e", speed=0.9)]
    chosen = choose(rows, 3, seed=1)
    assert {r["labels"][0] for r in chosen} == {"a", "b", "c"}
    assert choose(rows, 3, seed=1) == chosen and len(choose(rows, 99, seed=1)) == 22
    assert len({choose(rows, 3, seed)[0]["utterance_id"] for seed in range(9)}) > 1


def test_boxes_are_runs_in_seconds_and_numbered():
    strip = panels()[2]
    boxes = [(box.get_x(), box.get_width()) for box in strip.patches]
    assert np.array(boxes) == pytest.approx(np.array([(0, 0.2), (0.2, 0.6), (0.8, 0.18)]))
    assert [text.get_text() for text in strip.texts] == ["7", "3", "7"]
    colours = [box.get_facecolor() for box in strip.patches]
    assert colours[0] == colours[2] != colours[1]


@pytest.mark.slow
def test_all_three_show_the_same_time():
    assert {axes.get_xlim() for axes in panels()} == {(0, 1)}
    assert {axes.get_xlim() for axes in panels(0.5)} == {(0, 0.5)}
    assert [text.get_text() for text in panels(0.1)[2].texts] == ["7"]


def test_the_spectrogram_is_the_encoders_and_a_tone_lies_at_its_tick():
    wave, mel, strip = panels()
    image = mel.images[0].get_array()
    assert image.shape == (NUM_MELS, len(log_mel(TONE)))
    assert image[:, 40].argmax() == int(mel_band(1000))
    assert (wave.get_ylabel(), mel.get_ylabel(), strip.get_xlabel()) == ("amplitude", "frequency (Hz)", "time (s)")
    assert wave.get_title(loc="left") == "u1: yes" and mel.get_ylim() == (0, NUM_MELS)


def test_mel_bands_start_and_end_with_the_scale():
    assert mel_band([20, 8000]) == pytest.approx([0, NUM_MELS])


def test_an_envelope_keeps_peaks_and_few_points():
    waveform = np.zeros(100_000, np.float32)
    waveform[70_001] = 1
    times, low, high = envelope(waveform, RATE)
    assert len(times) == len(low) == len(high) <= ENVELOPE_POINTS and max(high) == 1
    assert times[np.argmax(high)] == pytest.approx(70_001 / RATE, abs=0.01)


@pytest.mark.slow
def test_from_files_to_a_figure(tmp_path, monkeypatch):
    rows = [row(i, "ab"[i % 2]) for i in range(3)]
    for r in rows:
        soundfile.write(tmp_path / r["path"], TONE, RATE)
        r["audio_hash"] = decode(tmp_path / r["path"])[1].audio_hash
    tables.write(tmp_path / "manifest.parquet", rows, MANIFEST)
    units = [
        dict(utterance_id=r["utterance_id"], split="dev", codebook="toy", units=UNITS, durations=DURATIONS) for r in rows[::-1]
    ]
    tables.write(tmp_path / "reduced_units.parquet", units, REDUCED_UNITS)
    monkeypatch.setattr(encoders, "load", lambda folder: SimpleNamespace(sample_rate=RATE, hop_length=HOP))
    plot_utterances(
        manifest=tmp_path / "manifest.parquet", reduced_units=tmp_path / "reduced_units.parquet", model=tmp_path / "model.safetensors",
        config=tmp_path / "config.json", figure=tmp_path / "utterances.svg", root=tmp_path, num_utterances=2, max_seconds=0.5, seed=1,
    )  # fmt: skip
    text = (tmp_path / "utterances.svg").read_text()
    assert text.rstrip().endswith("</svg>") and text.count("<image") == 2
