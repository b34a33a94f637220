"""A corpus that starts at reduced units: somebody's published units with their labels, checked and put into our tables."""

import pandas as pd

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import check_splits, standard_split
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error


def unit_list(value, place, num_clusters):
    """Units as integers from a list or a string of numbers; raises `ValueError` outside 0 … num_clusters − 1."""
    units = [int(u) for u in (value.split() if isinstance(value, str) else value)]
    if not units or not all(0 <= u < num_clusters for u in units):
        raise data_error(
            place,
            "units index the codebook",
            expected=f"one or more numbers from 0 to {num_clusters - 1}",
            got=f"{units[:8]}…",
            remedy="correct num_clusters in config/codebooks.tsv or the file",
        )
    return units


def read_units(paths, num_clusters):
    """Rows (utterance_id, split, units, labels) of Parquet files with columns utterance_id, split, units, label.

    Training and dev rows with the same units and label are taken once: SpeechPrompt published them as drawn with
    replacement under new names, while a manifest lists every utterance once. Test rows were not drawn; all of them count.
    """
    frame = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True).sort_values("utterance_id")
    frame["units"] = [unit_list(u, i, num_clusters) for i, u in zip(frame.utterance_id, frame.units)]
    frame["split"] = [standard_split(split, paths[0]) for split in frame.split]
    drawn = frame.assign(spoken=frame.units.map(tuple)).duplicated(["split", "spoken", "label"]) & (frame.split != "test")
    distinct = frame[~drawn]
    print(f"{len(frame)} rows, {len(distinct)} of them taken")
    rows = distinct[["utterance_id", "split", "units", "label"]].to_dict("records")
    return [row | dict(labels=[row.pop("label")]) for row in rows]


def import_units(*, source, manifest, reduced_units, codebook, num_clusters):
    """Stage: manifest and reduced units of a corpus that has no audio. Durations are unknown and given as 1."""
    rows = read_units(source, num_clusters)
    check_splits(rows, source[0])
    nothing = dict(path=None, start_seconds=0.0, end_seconds=None, speaker=None, speed=1.0)
    nothing |= dict(num_samples=0, sample_rate=0, source_sample_rate=0, source_channels=0)
    tables.write(manifest, [_pick(row, "utterance_id split labels") | nothing | dict(audio_hash="") for row in rows], MANIFEST)
    units = [_pick(row, "utterance_id split units") | dict(codebook=codebook, durations=[1] * len(row["units"])) for row in rows]
    tables.write(reduced_units, units, REDUCED_UNITS)


def _pick(row, names):
    return {name: row[name] for name in names.split()}
