"""Import a corpus that has no audio: check published units and their labels, and write them as our tables."""

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
        value: list of numbers, or text with spaces between the numbers.
        place: utterance_id, for the error message.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if there is no unit, or a unit is not from 0 to num_clusters − 1.
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

    Of training and dev rows with the same units and label, only the first is kept. The reason is that SpeechPrompt drew these
    rows with replacement and renamed them, while a manifest lists every utterance once. It did not draw test rows, so all are
    kept.

    Args:
        paths: the files.
        num_clusters: size of the codebook.

    Returns:
        List of dicts with utterance_id, split, units and labels.

    Raises:
        ValueError: if the units of a row are not valid, see `parse_units`.
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
    """Stage: write manifest and reduced units of a corpus without audio. Durations are unknown and are written as 1.

    Args:
        source: list of Parquet files, see `read_units`.
        manifest: table of `MANIFEST` to write.
        reduced_units: table of `REDUCED_UNITS` to write.
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
