"""List the utterances of a corpus that starts at units, for labelling: published units, with labels where there are any."""

from speech2unit.corpora.list_files import write_files
from speech2unit.corpora.read_metadata import name_cell
from speech2unit.corpora.splits import SPLIT_NAMES
from speech2unit.import_units import read_unit_table
from storage.text import normalize


def file_row(row):
    """Return a row of `FILES` from a row of `read_unit_table`, whose split and label may be missing or empty."""
    label = name_cell(row["label"], "label", row["place"]) if row["label"] else None
    return dict(
        utterance_id=row["utterance_id"],
        path=None,
        start_seconds=0.0,
        end_seconds=None,
        split=SPLIT_NAMES.get(normalize(str(row["split"])).lower()),
        labels=[label] if label else None,
        units=row["units"],
        reason=None,
        detail=None,
    )


def list_units(*, source, files, num_clusters):
    """Stage: list the utterances of a corpus without audio, in the order of its files. See `FILES`.

    Args:
        source: list of Parquet or CSV files with the columns utterance_id and units, and perhaps split and label.
        files: table to write.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if a row has no name or wrong units, or an utterance_id occurs twice.
    """
    rows = (row for path in source for row in read_unit_table(path, ("utterance_id", "units"), num_clusters))
    write_files(files, map(file_row, rows), source[0])
