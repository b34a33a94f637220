"""Reduce units: collapse runs of equal units, `5 5 9 9 9` → `5 9` with the durations `2 3`."""

from speech2unit.runs import collapse_runs
from speech2unit.schemas import REDUCED_UNITS, UNITS
from storage import tables


def reduce_units(*, units, reduced_units):
    """Stage: collapse the runs of equal units in every utterance.

    Args:
        units: table of `UNITS`.
        reduced_units: table of `REDUCED_UNITS` to write.
    """
    with tables.writer(reduced_units, REDUCED_UNITS) as out:
        for batch in tables.stream(units, UNITS):
            out.write([_reduced_row(row) for row in batch.to_pylist()])


def _reduced_row(row):
    """Return a row of `REDUCED_UNITS` from one of `UNITS`."""
    units, durations = collapse_runs(row["units"])
    return row | dict(units=units, durations=durations)
