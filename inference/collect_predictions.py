"""Put the labelled shards of a corpus together."""

from itertools import islice

import pyarrow as pa

from inference.schemas import PREDICTIONS_OF_CORPUS
from storage import tables
from storage.errors import notice


def write_predictions(path, sources):
    """Write the rows of several tables of `PREDICTIONS_OF_CORPUS` as one, in order, with bounded memory.

    Args:
        path: table to write.
        sources: paths of the tables.

    Returns:
        The number of rows, and how many of them are unusable files.
    """
    num_rows = 0
    num_unusable = 0
    batches = (batch for source in sources for batch in tables.stream(source, PREDICTIONS_OF_CORPUS))
    with tables.writer(path, PREDICTIONS_OF_CORPUS) as out:
        while group := list(islice(batches, 10)):  # small batches would make small row groups
            table = pa.Table.from_batches(group)
            num_rows += table.num_rows
            num_unusable += table.num_rows - table["reason"].null_count
            out.write(table)
    return num_rows, num_unusable


def collect_predictions(*, shards, predictions):
    """Stage: write the predictions for a corpus, in the order of its recordings. See `PREDICTIONS_OF_CORPUS`.

    Args:
        shards: tables of `PREDICTIONS_OF_CORPUS`, in order.
        predictions: table to write.
    """
    num_rows, num_unusable = write_predictions(predictions, shards)
    notice(f"{predictions}: {num_rows - num_unusable} of {num_rows} recordings labelled, {num_unusable} unusable (column reason)")
