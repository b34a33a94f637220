"""List the utterances of a corpus that starts at units, for labelling: published units, with labels where there are any."""

import pandas as pd

from speech2unit.corpora.list_files import write_files
from speech2unit.corpora.splits import SPLIT_NAMES
from speech2unit.import_units import parse_units


def file_rows(frame, num_clusters):
    """Yield rows of `FILES` from a data frame with the columns utterance_id and units, and perhaps split and label.

    Args:
        frame: the data frame.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if a unit is none of the codebook.
    """
    nothing = [None] * len(frame)
    splits = frame.get("split", nothing)
    labels = frame.get("label", nothing)
    for name, units, split, label in zip(frame.utterance_id, frame.units, splits, labels):
        yield dict(
            utterance_id=name,
            path=None,
            start_seconds=0.0,
            end_seconds=None,
            split=SPLIT_NAMES.get(str(split).lower()),
            labels=None if pd.isna(label) or label == "" else [str(label)],
            units=parse_units(units, name, num_clusters),
            reason=None,
            detail=None,
        )


def list_units(*, source, files, num_clusters):
    """Stage: list the utterances of a corpus without audio, in the order of its files. See `FILES`.

    Args:
        source: list of Parquet files.
        files: table to write.
        num_clusters: size of the codebook.

    Raises:
        ValueError: if a unit is none of the codebook, or an utterance_id occurs twice.
    """
    frames = (pd.read_parquet(path) for path in source)
    write_files(files, (row for frame in frames for row in file_rows(frame, num_clusters)), source[0])
