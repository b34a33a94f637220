"""Utterances of several clips: each has one speaker, its audio says its labels, and there are pauses between the clips."""

import numpy as np
import pandas
import pytest
import soundfile

from speech2unit.corpora.adapters.table import read_rows
from speech2unit.corpora.clips import join_waveforms
from speech2unit.corpora.concatenate_clips import check_clips, concatenate_clips, draw_sequences
from speech2unit.corpora.make_manifest import make_manifest
from tests.factories import MANIFEST_SETTINGS, corpus_row

SETTINGS = dict(
    num_utterances=dict(train=20, dev=6, test=6),
    clips_per_utterance=[2, 4],
    pauses=dict(seconds=[0.1, 0.2], snr_db=40),
    seed=1,
)
RATE = 8000


@pytest.fixture
def clips(tmp_path):
    """A corpus of tones: digit d of speaker s is a sine of 400 + 300 d + 20 s Hz; its folder with metadata and manifest."""
    root = tmp_path / "clips"
    root.mkdir()
    rows = []
    for number, split in enumerate(("train", "train", "dev", "test")):
        for digit in range(4):
            tone = 0.5 * np.sin(2 * np.pi * (400 + 300 * digit + 20 * number) * np.arange(1600) / RATE)
            soundfile.write(root / f"{number}_{digit}.wav", tone, RATE)
            rows.append(dict(path=f"{number}_{digit}.wav", split=split, speaker=f"s{number}", label=digit))
    pandas.DataFrame(rows).to_csv(root / "metadata.csv", index=False)
    paths = dict(manifest=root / "manifest.parquet", rejected=root / "rejected.parquet")
    make_manifest(**paths, corpus=corpus_row(root, speeds="0.9"), **MANIFEST_SETTINGS)
    return root


def run(clips, out, **changed):
    paths = dict(manifest=clips / "manifest.parquet", audio=out / "audio", metadata=out / "metadata.csv")
    concatenate_clips(**paths, root=str(clips), **SETTINGS | changed)
    return out


def rows_of(folder):
    cells = dict(path_column="path", split_column="split", speaker_column="speaker", label_columns="labels[]", where="")
    return read_rows(root=str(folder), metadata="metadata.csv", **cells)


def heard(path, speaker):
    """Labels of a sequence of tones, from the strongest frequency of each segment between pauses."""
    samples, rate = soundfile.read(path)
    loud = np.convolve(np.abs(samples), np.ones(160) / 160, "same") > 0.1
    edges = np.flatnonzero(np.diff(loud.astype(int), prepend=0, append=0))
    labels = []
    for start, end in edges.reshape(-1, 2):
        spectrum = np.abs(np.fft.rfft(samples[start:end], rate))
        labels.append(str(round((spectrum.argmax() - 400 - 20 * int(speaker[1:])) / 300)))
    return labels


@pytest.mark.slow
def test_each_utterance_says_its_labels_in_the_voice_of_its_speaker(clips, tmp_path):
    folder = run(clips, tmp_path / "sequences")
    rows = rows_of(folder)
    assert pandas.Series([row["split"] for row in rows]).value_counts().to_dict() == SETTINGS["num_utterances"]
    for row in rows:
        assert 2 <= len(row["labels"]) <= 4 and heard(folder / row["path"], row["speaker"]) == row["labels"]
    speakers = pandas.DataFrame(rows).groupby("speaker")["split"]
    assert (speakers.nunique() == 1).all() and speakers.size().to_dict() == dict(s0=10, s1=10, s2=6, s3=6)
    assert {len(row["labels"]) for row in rows} == {2, 3, 4} and len({tuple(row["labels"]) for row in rows}) > 20
    info = soundfile.info(folder / rows[0]["path"])
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")


@pytest.mark.slow
def test_a_manifest_of_the_new_corpus_holds_sequences(clips, tmp_path):
    folder = run(clips, tmp_path / "sequences")
    corpus = corpus_row(folder, label_columns="labels[]")
    make_manifest(manifest=tmp_path / "m.parquet", rejected=tmp_path / "r.parquet", corpus=corpus, **MANIFEST_SETTINGS)
    assert sorted(map(tuple, pandas.read_parquet(tmp_path / "m.parquet").labels)) == sorted(
        tuple(row["labels"]) for row in rows_of(folder)
    )


@pytest.mark.slow
def test_the_same_bytes_again_and_others_with_another_seed(clips, tmp_path):
    def content(folder):
        return [(path.name, path.read_bytes()) for path in sorted(folder.rglob("*.*"))]

    first = content(run(clips, tmp_path / "a"))
    assert first == content(run(clips, tmp_path / "b")) != content(run(clips, tmp_path / "c", seed=2))


def test_pauses_have_their_length_and_level():
    tone = np.sin(np.arange(8000) * 0.3).astype(np.float32)
    pauses = dict(seconds=[0.5, 0.5], snr_db=20)
    joined = join_waveforms([tone, tone], sample_rate=16_000, pauses=pauses, rng=np.random.default_rng(0))
    assert len(joined) == 24_000 and joined.dtype == np.float32
    assert (joined[:8000] == tone).all() and (joined[16_000:] == tone).all()
    assert np.mean(tone**2) / np.mean(joined[8000:16_000] ** 2) == pytest.approx(100, rel=0.05)


def test_speakers_take_turns_and_lengths_are_within_their_limits():
    rows = [dict(speaker=s, utterance_id=f"{s}{i}") for s in "ab" for i in range(3)]
    sequences = list(draw_sequences(rows, num_utterances=200, clips_per_utterance=[1, 3], rng=np.random.default_rng(0)))
    assert [{row["speaker"] for row in clips} for clips in sequences] == [{"a"}, {"b"}] * 100
    assert min(np.bincount([len(clips) for clips in sequences])[1:]) > 40
    assert {row["utterance_id"] for clips in sequences for row in clips} == {row["utterance_id"] for row in rows}


@pytest.mark.parametrize("row", [dict(labels=["a", "b"]), dict(labels=["a b"]), dict(labels=[]), dict(speaker=None)])
def test_clips_of_several_words_or_without_a_speaker_are_refused(row):
    with pytest.raises(ValueError, match="concatenate_clips: a clip has a speaker and one label of one word; .* \\(u1\\)"):
        check_clips([dict(utterance_id="u1", labels=["a"], speaker="s") | row])


def test_an_error_leaves_nothing_behind(clips, tmp_path):
    (clips / "0_1.wav").unlink()
    with pytest.raises(ValueError, match="0_1.wav"):
        run(clips, tmp_path / "sequences")
    assert not list((tmp_path / "sequences").rglob("*"))
