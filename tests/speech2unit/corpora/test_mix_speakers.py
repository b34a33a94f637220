"""Mixtures: two speakers of one split, active where their voices are heard, and the same bytes every time."""

import numpy as np
import pandas
import pytest
import soundfile

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.make_manifest import make_manifest
from speech2unit.corpora.mix_speakers import draw_pairs, mix_speakers, mix_voices
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from tests.factories import MANIFEST_SETTINGS, corpus_row

RATE = 16_000
TONES_HZ = dict(a=400, b=800, c=1200, d=400, e=800, f=400, g=800)  # one tone per speaker
SPLITS = dict(train="abc", dev="de", test="fg")
SETTINGS = dict(
    num_mixtures=dict(train=6, dev=2, test=2),
    clips_per_speaker=[1, 2],
    pauses=dict(seconds=[0.2, 0.3], snr_db=60),
    mixing=dict(delay_seconds=[0, 0.3], gain_db=[-3, 3]),
    activity=dict(range_db=25, max_gap_seconds=0.05),
    seed=1,
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Folder with a corpus of tones of 0.4 s, with 0.1 s of near silence on both sides, and its manifest."""
    folder = tmp_path_factory.mktemp("clips")
    rows = []
    for split, speakers in SPLITS.items():
        for speaker in speakers:
            tone = 0.3 * np.sin(2 * np.pi * TONES_HZ[speaker] * np.arange(round(0.4 * RATE)) / RATE)
            wave = np.concatenate([np.zeros(RATE // 10), tone, np.zeros(RATE // 10)])
            wave += np.random.default_rng(ord(speaker)).normal(0, 1e-4, len(wave))
            soundfile.write(folder / f"{speaker}.wav", wave, RATE)
            rows.append(dict(path=f"{speaker}.wav", split=split, speaker=speaker, label="x"))
    pandas.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    manifest_of(folder, "label")
    return folder


def manifest_of(folder, label_columns):
    corpus = corpus_row(folder, label_columns=label_columns)
    make_manifest(manifest=folder / "m.parquet", rejected=folder / "r.parquet", corpus=corpus, **MANIFEST_SETTINGS)
    return tables.read(folder / "m.parquet", MANIFEST).to_pylist()


def run(clips, folder, **changed):
    folder.mkdir()
    paths = dict(manifest=clips / "m.parquet", audio=folder / "audio", metadata=folder / "metadata.csv", root=str(clips))
    mix_speakers(**paths, **SETTINGS | changed)
    return folder


def heard(wave, tone_hz):
    """Whether a tone is in each 10 ms, by its power in windows of 20 ms."""
    time = np.arange(len(wave)) / RATE
    power = np.abs(np.convolve(wave * np.exp(-2j * np.pi * tone_hz * time), np.ones(320) / 320, "same"))
    return power[80::160] > 0.3 * power.max()


@pytest.mark.slow
def test_the_symbols_tell_which_speaker_is_heard(clips, tmp_path):
    folder = run(clips, tmp_path / "mixtures")
    rows = manifest_of(folder, "activity[]")
    assert pandas.Series([row["split"] for row in rows]).value_counts().to_dict() == SETTINGS["num_mixtures"]
    both = 0
    for row in rows:
        pair = row["speaker"].split("+")
        assert set(pair) <= set(SPLITS[row["split"]]) and len(set(pair)) == 2
        wave, rate = soundfile.read(folder / row["path"])
        assert rate == RATE and np.abs(wave).max() <= 0.9
        active = np.array([int(symbol) for symbol in row["labels"]])
        for number, speaker in enumerate(pair):
            assert np.mean(heard(wave, TONES_HZ[speaker])[: len(active)] == active >> number & 1) > 0.9
        both += row["labels"].count("3")
    assert both > 50 and {symbol for row in rows for symbol in row["labels"]} == set("0123")


@pytest.mark.slow
def test_the_same_bytes_again_and_others_with_another_seed(clips, tmp_path):
    def content(folder):
        return [(path.name, path.read_bytes()) for path in sorted(folder.rglob("*.*"))]

    first = content(run(clips, tmp_path / "a"))
    assert first == content(run(clips, tmp_path / "b")) != content(run(clips, tmp_path / "c", seed=2))


def test_the_adapter_table_reads_the_metadata(clips, tmp_path):
    folder = run(clips, tmp_path / "mixtures")
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="activity[]", where="")
    assert len(read_rows(root=str(folder), metadata="metadata.csv", **cells)) == 10


def test_delay_and_gain_are_those_of_the_settings():
    settings = dict(
        sample_rate=RATE,
        mixing=dict(delay_seconds=[0.05, 0.05], gain_db=[-20, -20]),
        activity=dict(range_db=20, max_gap_seconds=0),
    )
    mixture, symbols = mix_voices([np.ones(1600), np.ones(1600)], rng=np.random.default_rng(0), **settings)
    assert len(mixture) == 2400 and mixture.max() == pytest.approx(0.9)
    assert "".join(symbols) in ("111113333322222", "222223333311111")
    low, both, high = (mixture[i] / 0.9 for i in (0, 1200, 2000))
    assert both == pytest.approx(1) and sorted([low, high]) == pytest.approx([0.1 / 1.1, 1 / 1.1])


def test_one_speaker_cannot_be_mixed():
    rows = [dict(speaker=s, utterance_id=f"{s}") for s in ("a", None)]
    with pytest.raises(ValueError, match=r"mix_speakers: every split has two speakers to mix; .* got \['a'\]"):
        list(draw_pairs(rows, num_mixtures=1, clips_per_speaker=[1, 1], rng=np.random.default_rng(0)))
