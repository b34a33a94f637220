"""Runs of equal units, with NumPy alone."""

import numpy as np


def collapse_runs(units):
    """Return the unit of each run of equal units `[N]`, and the length of each run `[N]`; the lengths sum to T.

    Args:
        units: units `[T]`, one per frame.
    """
    units = np.asarray(units)
    starts = np.flatnonzero(np.diff(units, prepend=units[:1] - 1)) if len(units) else np.empty(0, int)
    return units[starts], np.diff(starts, append=len(units))
