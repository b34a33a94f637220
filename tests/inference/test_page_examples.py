import numpy as np
import pytest
import soundfile

from inference.page_examples import Examples, find_manifest
from speech2unit.corpora.audio import BadAudio, decode
from speech2unit.corpora.schemas import MANIFEST
from storage import provenance, tables

RATE = 16_000


def row(name, label, split="train", speaker="anna", speed=1.0, **others):
    return dict(
        utterance_id=name,
        path=f"{name.removeprefix('sp0.9-')}.flac",
        start_seconds=0.0,
        end_seconds=None,
        split=split,
        speaker=speaker,
        labels=label.split(),
        speed=speed,
        num_samples=RATE,
        sample_rate=RATE,
        source_sample_rate=RATE,
        source_channels=1,
        audio_hash=name,
        **others,
    )


@pytest.fixture
def corpus(tmp_path):
    """A project whose corpus has twelve training recordings, dev and test recordings, and copies at another speed."""
    rows = [row(f"yes{i}", "yes", speaker=f"s{i % 3}") for i in range(9)]
    rows += [row(f"three{i}", "3 7", speaker=None) for i in range(3)]
    rows += [
        row("dev0", "yes", "dev", "s3"),
        row("test0", "yes", "test", "s4"),
        row("sp0.9-yes0", "yes", speaker="s0", speed=0.9),
    ]
    root = tmp_path / "speech"
    root.mkdir()
    for i in range(9):
        soundfile.write(root / f"yes{i}.flac", np.random.default_rng(i).normal(0, 0.1, RATE), RATE)
    manifest = tmp_path / "results/corpora/mine/manifest.parquet"
    with provenance.running(job="a", stage="make_manifest", settings=dict(corpus=dict(root="speech")), inputs=[]):
        tables.write(manifest, sorted(rows, key=lambda row: row["utterance_id"]), MANIFEST)
    return manifest


def test_the_root_is_that_of_the_project_of_the_manifest(corpus, tmp_path):
    assert Examples(corpus).root == tmp_path / "speech"


def test_examples_are_training_recordings_of_different_speakers(corpus):
    examples = Examples(corpus)
    for seed in range(5):
        chosen = examples.choose("yes", 3, seed)
        assert {row["speaker"] for row in chosen} == {"s0", "s1", "s2"}
        assert {row["split"] for row in chosen} == {"train"}
    assert len({tuple(row["utterance_id"] for row in examples.choose("yes", 3, seed)) for seed in range(5)}) > 1


def test_all_examples_can_be_asked_for(corpus):
    assert len(Examples(corpus).choose("yes", 100, 0)) == 9
    assert len(Examples(corpus).choose("3 7", 100, 0)) == 3
    assert Examples(corpus).choose("no", 100, 0) == []


def test_an_example_is_copied_as_wav(corpus, tmp_path):
    examples = Examples(corpus)
    [chosen] = examples.choose("yes", 1, 0)
    example = examples.copy(chosen, tmp_path)
    assert example.name == chosen["utterance_id"]
    assert example.speaker == chosen["speaker"]
    np.testing.assert_allclose(decode(example.file)[0], decode(examples.root / chosen["path"])[0], atol=2 / 32768)


def test_an_example_that_is_gone_is_bad_audio(corpus, tmp_path):
    examples = Examples(corpus)
    [chosen] = examples.choose("3 7", 1, 0)
    with pytest.raises(BadAudio, match="missing"):
        examples.copy(chosen, tmp_path)


def test_a_corpus_without_its_recordings_is_refused(corpus, tmp_path):
    (tmp_path / "speech").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="--root"):
        Examples(corpus)
    assert Examples(corpus, tmp_path / "elsewhere").choose("yes", 1, 0)


def test_a_manifest_is_found_in_the_current_project(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_manifest("mine").samefile(corpus)
    assert find_manifest("other") is None
