"""Import a corpus that starts at reduced units: published units with their labels, checked and written as our tables."""

import pandas as pd

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import check_splits, standard_split
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error

NO_AUDIO = dict(
    path=None,
    start_seconds=0.0,
    end_seconds=None,
    speaker=None,
    speed=1.0,
    num_samples=0,
    sample_rate=0,
    source_sample_rate=0,
    source_channels=0,
    audio_hash="",
)


def parse_units(value, place, num_clusters):
    """Return units as integers.

    Args:
        value: list of numbers, or text with blanks between them.
        place: utterance_id, for the error message.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if there is no unit, or one outside of 0 … num_clusters − 1.
    """
    units = [int(unit) for unit in (value.split() if isinstance(value, str) else value)]
    if not units or not all(0 <= unit < num_clusters for unit in units):
        raise data_error(
            place,
            "units index the codebook",
            expected=f"one or more numbers from 0 to {num_clusters - 1}",
            got=f"{units[:8]}…",
            remedy="correct num_clusters in config/codebooks.tsv, or the file",
        )
    return units


def read_units(paths, num_clusters):
    """Read published units from Parquet files with the columns utterance_id, split, units and label.

    Of training and dev rows with the same units and label only the first counts: SpeechPrompt published rows that it had drawn
    with replacement and renamed, while a manifest lists every utterance once. Test rows were not drawn, so all of them count.

    Args:
        paths: the files.
        num_clusters: size of the codebook.

    Returns:
        Rows with utterance_id, split, units and labels.
    """
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True).sort_values("utterance_id")
    frame["units"] = [parse_units(units, name, num_clusters) for name, units in zip(frame.utterance_id, frame.units)]
    frame["split"] = [standard_split(split, paths[0]) for split in frame.split]
    is_repeated = frame.assign(units=frame.units.map(tuple)).duplicated(["split", "units", "label"])
    distinct = frame[~is_repeated | (frame.split == "test")]
    print(f"{len(frame)} rows, of which {len(distinct)} are used")
    columns = zip(distinct.utterance_id, distinct.split, distinct.units, distinct.label)
    return [dict(utterance_id=name, split=split, units=units, labels=[label]) for name, split, units, label in columns]


def import_units(*, source, manifest, reduced_units, codebook, num_clusters):
    """Stage: write manifest and reduced units of a corpus without audio. Durations are unknown, and all 1.

    Args:
        source: list of Parquet files, see `read_units`.
        manifest: table to write, see `MANIFEST`.
        reduced_units: table to write, see `REDUCED_UNITS`.
        codebook: name of the codebook.
        num_clusters: size of the codebook.
    """
    rows = read_units(source, num_clusters)
    check_splits(rows, source[0])
    manifest_rows = []
    unit_rows = []
    for row in rows:
        key = dict(utterance_id=row["utterance_id"], split=row["split"])
        manifest_rows.append(key | dict(labels=row["labels"]) | NO_AUDIO)
        unit_rows.append(key | dict(codebook=codebook, units=row["units"], durations=[1] * len(row["units"])))
    tables.write(manifest, manifest_rows, MANIFEST)
    tables.write(reduced_units, unit_rows, REDUCED_UNITS)
