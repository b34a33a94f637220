"""Import a corpus that has no audio: check published units and their labels, and write them as our tables."""

import re
from itertools import pairwise

import numpy as np

from speech2unit.corpora.draw_splits import complete_splits
from speech2unit.corpora.read_metadata import name_cell, read_metadata
from speech2unit.corpora.remarks import remarks, size_lines
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import check_splits, standard_split
from speech2unit.runs import collapse_runs
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.errors import data_error, nearest, notice
from storage.text import shown

COLUMNS = ("utterance_id", "split", "units", "label")
SEPARATOR = re.compile(r"[\s,]+")
WHOLE_NUMBER = re.compile(r"-?[0-9]+(\.0*)?")

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
        value: list of whole numbers, or text with blanks or commas between them, perhaps in brackets.
        place: file and row, for the error message.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if there is no unit, one that is no whole number, or one outside of 0 … num_clusters − 1.
    """
    units = None
    if isinstance(value, str):
        value = SEPARATOR.split(value.strip("[]() \t\r\n")) if value.strip("[]() \t\r\n") else []
    if isinstance(value, (list, tuple, np.ndarray)):
        units = [_whole_number(unit) for unit in value]
    if not units or any(unit is None or not 0 <= unit < num_clusters for unit in units):
        wrong = [value[i] for i, unit in enumerate(units or []) if unit is None or not 0 <= unit < num_clusters]
        if wrong:
            got = f"'{shown(wrong[0])}' among {len(units)} units"
        else:
            got = "no units" if units == [] or value == "" else shown(value)
        raise data_error(
            place,
            "units index the codebook",
            expected=f"one or more numbers from 0 to {num_clusters - 1}",
            got=got,
            remedy="correct or remove the row (units are a list, or text such as 3 1 7); if most rows have such units, correct "
            "num_clusters in config/codebooks.tsv",
        )
    return units


def _whole_number(value):
    """Return a value as an integer: 7 for 7, '7' and 7.0, but None for 7.6 and for anything else."""
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value):
        return int(value.partition(".")[0])
    if isinstance(value, (float, np.floating)) and value == value // 1:
        return int(value)
    return int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)) else None


def read_unit_table(path, columns, num_clusters):
    """Yield the checked rows of a table of units: dicts with place, utterance_id, split, units, durations and label.

    Runs of equal units become one unit with the length of the run as its duration. A list with one label counts as the label.

    Args:
        path: Parquet or CSV file.
        columns: the columns that it must have; others of `COLUMNS` may be missing, and then are None.
        num_clusters: size of the codebook.

    Raises:
        ValueError: naming the file and the row.
    """
    table = read_metadata(path)
    for name in columns:
        if name not in table.columns:
            raise data_error(
                path,
                "a table of units must have its columns",
                expected=", ".join(columns),
                got=f"no '{name}' among {shown(', '.join(table.columns), 200)}",
                remedy=f"{nearest(name, table.columns)}rename or add the column",
            )
    num_with_runs = 0
    num_listed = 0
    present = [name for name in COLUMNS if name in table.columns]
    for row_name, cells in zip(table.index, table[present].to_dict("records")):
        place = f"{path}, {row_name}"
        units = parse_units(cells["units"], place, num_clusters)
        collapsed, durations = collapse_runs(units)
        num_with_runs += len(collapsed) < len(units)
        label = cells.get("label")
        if isinstance(label, list) and len(label) == 1:
            label = str("" if label[0] is None else label[0])
            num_listed += 1
        yield dict(
            place=place,
            utterance_id=_filled(cells["utterance_id"], "utterance_id", place),
            split=standard_split(_filled(cells["split"], "split", place), place) if "split" in columns else cells.get("split"),
            units=collapsed.tolist(),
            durations=durations.tolist(),
            label=_filled(label, "label", place) if "label" in columns else label,
        )
    if num_with_runs:
        notice(
            f"{path}: {num_with_runs} rows repeat units, as in 7 7 7; each run becomes one unit with its length as its duration"
        )
    if num_listed:
        notice(f"{path}: {num_listed} labels are lists of one label, which count as that label")


def _filled(cell, name, place):
    """Return a cell as normalized text. Raises `ValueError` for an empty or nested one."""
    text = name_cell(cell, name, place)
    if not text:
        raise data_error(
            place, f"every row needs its {name}", expected="a value", got="an empty cell", remedy="fill it, or remove the row"
        )
    return text


def read_units(paths, num_clusters):
    """Read published units from files with the columns utterance_id, split, units and label.

    Of training and dev rows with the same units and label, only the first is kept. The reason is that SpeechPrompt drew these
    rows with replacement and renamed them, while a manifest lists every utterance once. It did not draw test rows, so all are
    kept.

    Args:
        paths: the files.
        num_clusters: size of the codebook.

    Returns:
        Rows with utterance_id, split, units, durations and labels, in order of utterance_id.

    Raises:
        ValueError: naming the file and the row.
    """
    rows = sorted((row for path in paths for row in read_unit_table(path, COLUMNS, num_clusters)), key=_utterance_id)
    for first, second in pairwise(rows):
        if first["utterance_id"] == second["utterance_id"]:
            raise data_error(
                second["place"],
                "an utterance_id must be unique",
                expected="one row for each",
                got=f"'{first['utterance_id']}' also in {first['place']}",
                remedy="remove or rename one of the rows",
            )
    used = {}
    for row in rows:
        key = (row["split"], tuple(row["units"]), tuple(row["durations"]), row["label"])
        used.setdefault(row["utterance_id"] if row["split"] == "test" else key, row)
    if len(used) < len(rows):
        notice(f"{len(rows)} rows, of which {len(used)} are used: training and dev rows with the same units and label count once")
    keys = ("utterance_id", "split", "units", "durations")
    return [{key: row[key] for key in keys} | dict(labels=[row["label"]]) for row in used.values()]


def _utterance_id(row):
    return row["utterance_id"]


def import_units(*, source, manifest, reduced_units, codebook, num_clusters):
    """Stage: write manifest and reduced units of a corpus without audio. A duration is 1, or the length of a run in the source.

    Args:
        source: list of files, see `read_units`.
        manifest: table to write, see `MANIFEST`.
        reduced_units: table to write, see `REDUCED_UNITS`.
        codebook: name of the codebook.
        num_clusters: size of the codebook.
    """
    rows = read_units(source, num_clusters)
    manifest_rows = [{name: row[name] for name in ("utterance_id", "split", "labels")} | NO_AUDIO for row in rows]
    manifest_rows, notes = complete_splits(manifest_rows, "label", source[0], allow_overlap=[])
    check_splits(manifest_rows, source[0])
    unit_rows = [
        dict(
            utterance_id=row["utterance_id"],
            split=manifest_row["split"],
            codebook=codebook,
            units=row["units"],
            durations=row["durations"],
        )
        for row, manifest_row in zip(rows, manifest_rows, strict=True)
    ]
    tables.write(manifest, manifest_rows, MANIFEST)
    tables.write(reduced_units, unit_rows, REDUCED_UNITS)
    notice(f"{manifest}: {size_lines(manifest_rows, 'label', notes=notes)}")
    for remark in remarks(manifest_rows, manifest_rows, "label"):
        notice(f"{source[0]}: {remark}")
