"""Files outside of results/: their content decides what runs again, in both directions, and not their place or their time."""

import os
import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import soundfile

from speech2unit.corpora.audio import decode
from speech2unit.corpora.moved import has_recordings
from workflow.scripts.external_files import Location, contents, file_digest, folder_digest, is_made_here
from workflow.scripts.lookups.corpora import unit_contents, unit_sources
from workflow.scripts.row_tables import Table

MANIFEST = "results/corpora/bad/manifest.parquet"
UNITS = SimpleNamespace(corpus="units")


@pytest.fixture
def recordings(tmp_path):
    """Folder of 60 recordings in two classes."""
    rng = np.random.default_rng(0)
    for i in range(60):
        (tmp_path / "a" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "a" / "ab"[i % 2] / f"{i:02}.wav", rng.normal(size=800) * 0.1, 16_000)
    return tmp_path / "a"


def write_metadata(folder, labels):
    rows = [
        dict(path=f"{i:02}.wav", split=("train", "dev", "test")[i // 4], speaker=f"s{i // 4}", label=labels[i % 2])
        for i in range(12)
    ]
    pandas.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)


def test_snakemake_compares_no_place_and_a_stage_gets_it_as_text():
    settings = dict(corpus=dict(root=Location("/disk1"), where=""), roots=[Location("/disk1")])
    assert repr(settings) == repr(dict(corpus=dict(root=Location("/disk2"), where=""), roots=[Location("/disk2")]))
    loaded = pickle.loads(pickle.dumps(settings))
    assert loaded["roots"] == ["/disk1"] and {type(loaded["roots"][0]), type(loaded["corpus"]["root"])} == {str}


def test_files_are_compared_by_their_bytes(tmp_path):
    texts = dict(a="1", b="1", c="2")
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    reprs = {name: repr(contents([str(tmp_path / name)], file_digest)) for name in texts}
    assert reprs["a"] == reprs["b"] != reprs["c"] and file_digest(str(tmp_path / "none")) == "-"


def test_folders_are_compared_by_the_names_and_sizes_of_their_recordings(recordings, tmp_path):
    before = folder_digest(str(recordings))
    changes = dict(
        moved=lambda folder: None,
        hidden=lambda folder: (folder / "a/.DS_Store").touch(),
        touched=lambda folder: os.utime(folder / "a/00.wav"),
        added=lambda folder: shutil.copy(folder / "a/00.wav", folder / "a/99.wav"),
        relabelled=lambda folder: (folder / "a/00.wav").rename(folder / "b/00.wav"),
        shorter=lambda folder: soundfile.write(folder / "a/00.wav", np.ones(700) * 0.1, 16_000),
    )
    digests = {}
    for name, change in changes.items():
        shutil.copytree(recordings, tmp_path / name)
        change(tmp_path / name)
        digests[name] = folder_digest(str(tmp_path / name))
    assert {name for name, digest in digests.items() if digest == before} == {"moved", "hidden", "touched"}
    assert folder_digest(str(tmp_path / "gone")) == "-"


def test_only_the_projects_own_results_are_made_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_made_here("results/corpora/a") and is_made_here(tmp_path / "results/corpora/a")
    assert (
        not is_made_here("/data/results/mine") and not is_made_here("../results/mine") and not is_made_here("results_of_others")
    )


def test_a_moved_corpus_is_known_by_its_recordings(recordings, tmp_path):
    paths = sorted(path.relative_to(recordings).as_posix() for path in recordings.rglob("*.wav"))
    times = dict(start_seconds=0.0, end_seconds=None)
    rows = [times | dict(path=path, audio_hash=decode(recordings / path)[1].audio_hash) for path in paths]
    moved = tmp_path / "moved"
    recordings.rename(moved)
    assert has_recordings(moved, rows) and not has_recordings(recordings, rows)
    soundfile.write(moved / paths[0], np.ones(800) * 0.1, 16_000)
    assert not has_recordings(moved, rows) and has_recordings(moved, rows[1:])
    (moved / paths[-1]).unlink()
    assert not has_recordings(moved, rows[1:])
    (moved / paths[-1]).write_text("no audio")
    assert not has_recordings(moved, rows[-1:])


def unit_corpus(root):
    row = dict(root=Location(root), source=["train.parquet"], adapter="units", metadata="")
    table = Table("corpora", ["config/corpora.tsv"])
    table.add("units", row, "config/corpora.tsv")
    return dict(corpora=table)


def test_published_units_are_compared_by_their_content_or_are_at_an_address(tmp_path):
    (tmp_path / "train.parquet").write_text("units")
    rows = unit_corpus(str(tmp_path))
    assert unit_sources(rows, {}, UNITS) == []
    (files,) = unit_contents(rows, {}, UNITS).values()
    assert files == {f"{tmp_path}/train.parquet": file_digest(f"{tmp_path}/train.parquet")}
    rows = unit_corpus("s3://bucket/units")
    assert unit_sources(rows, {}, UNITS) == ["s3://bucket/units/train.parquet"] and unit_contents(rows, {}, UNITS) == {}


def test_a_missing_file_of_units_is_named_with_the_nearest(tmp_path):
    (tmp_path / "Train.parquet").write_text("units")
    with pytest.raises(ValueError, match=r"row 'units': the source file .* no such file; did you mean 'Train.parquet'\? correct"):
        unit_sources(unit_corpus(str(tmp_path)), {}, UNITS)


@pytest.fixture(scope="module")
def made(new_project):
    """A project with the manifest of a corpus of 12 recordings in bad_audio/."""
    made = new_project("external")
    rng = np.random.default_rng(0)
    folder = made / "bad_audio"
    folder.mkdir()
    for i in range(12):
        soundfile.write(folder / f"{i:02}.wav", rng.normal(size=4000) * 0.1, 16_000)
    write_metadata(folder, ["yes", "no"])
    made.snakemake("--cores", 1, MANIFEST)
    return made


def test_an_older_table_with_other_content_is_read_and_new_times_alone_rerun_nothing(made):
    table = made / "bad_audio/metadata.csv"
    text = table.read_text()
    table.write_text(text)
    (made / "workflow/scripts/stage.py").touch()
    assert made.planned(MANIFEST) == {}
    table.write_text(text.replace("yes", "yea"))
    os.utime(table, (1_600_000_000, 1_600_000_000))
    assert made.planned(MANIFEST) == dict(make_manifest=1)
    table.write_text(text)


def test_a_moved_folder_reruns_nothing_unless_its_recordings_differ(made):
    made.edit("tests/config/corpora.tsv", "\tbad_audio\t", "\tdisk2\t")
    shutil.move(made / "bad_audio", made / "disk2")
    try:
        assert made.planned(MANIFEST) == {}
        shutil.copy(made / "disk2/01.wav", made / "01.wav")
        shutil.copy(made / "disk2/02.wav", made / "disk2/01.wav")
        assert made.planned(MANIFEST) == dict(make_manifest=1)
        shutil.copy(made / "01.wav", made / "disk2/01.wav")
    finally:
        made.edit("tests/config/corpora.tsv", "\tdisk2\t", "\tbad_audio\t")
        shutil.move(made / "disk2", made / "bad_audio")


def test_verify_names_results_of_a_table_that_has_changed(made):
    table = made / "bad_audio/metadata.csv"
    text = table.read_text()
    table.write_text(text.replace("yes", "yea"))
    output, status = made.snakemake("--cores", 1, "verify", check=False)
    assert status != 0 and f"{MANIFEST}: made from another bad_audio/metadata.csv" in output
    table.write_text(text)
