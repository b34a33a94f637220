"""Rows of tables as tests need them: valid ones, of which a test changes only the cells that it is about."""

from pathlib import Path

from speech2unit.corpora.audio import decode

MANIFEST_SETTINGS = dict(sample_rate=16_000, max_reject_fraction=0, allow_overlap=[], num_folds=0, num_workers=1)


def manifest_row(utterance_id, **cells):
    """Return a row of `MANIFEST`: one second as recorded in a file of its own, unless `cells` say otherwise."""
    row = dict(
        utterance_id=utterance_id,
        path=f"{utterance_id}.wav",
        start_seconds=0.0,
        end_seconds=None,
        split="train",
        speaker=None,
        labels=[],
        speed=1.0,
        num_samples=16_000,
        sample_rate=16_000,
        source_sample_rate=16_000,
        source_channels=1,
        audio_hash=utterance_id,
    )
    assert set(cells) <= set(row), f"unknown columns {set(cells) - set(row)}"
    return row | cells


def manifest_row_of_file(path, **cells):
    """Return the row of `MANIFEST` of an audio file in the corpus's root, with its length and hash."""
    path = Path(path)
    samples, info = decode(path, cells.get("start_seconds", 0.0), cells.get("end_seconds"))
    measured = dict(
        path=path.name,
        num_samples=len(samples),
        sample_rate=info.sample_rate,
        source_sample_rate=info.sample_rate,
        source_channels=info.channels,
        audio_hash=info.audio_hash,
    )
    return manifest_row(**dict(utterance_id=path.stem) | measured | cells)


def manifest_row_without_audio(utterance_id, **cells):
    """Return a row of `MANIFEST` of a corpus that starts at units: no file and no length."""
    no_audio = dict(path=None, num_samples=0, sample_rate=0, source_sample_rate=0, source_channels=0, audio_hash="")
    return manifest_row(utterance_id, **no_audio | cells)


def corpus_row(root, **cells):
    """Return a row of config/corpora.tsv for the adapter `table` that reads `root`/metadata.csv."""
    row = dict(
        corpus="toy",
        adapter="table",
        root=str(root),
        metadata="metadata.csv",
        path_column="path",
        split_column="split",
        speaker_column="speaker",
        label_columns="label",
        where="",
        speaker_pattern="",
        speeds="",
        source="",
        codebook="",
    )
    assert set(cells) <= set(row), f"unknown columns {set(cells) - set(row)}"
    return row | cells
