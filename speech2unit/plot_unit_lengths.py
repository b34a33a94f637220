"""Plot a histogram of the number of reduced units per utterance, one panel per split."""

import math

import numpy as np

from evaluation.figures import histogram_end, save, split_histograms
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.schemas import SPLITS

MAX_BINS = 50


def lengths_by_split(reduced_units):
    """Return a dict from each split to the number of reduced units of each utterance."""
    splits = np.array(reduced_units["split"].to_pylist())
    lengths = np.array([len(units) for units in reduced_units["units"]])
    return {split: lengths[splits == split] for split in SPLITS if (splits == split).any()}


def whole_edges(largest):
    """Return bin edges such as −0.5, 0.5, 1.5, … that cover the whole numbers from 0 to `largest`.

    There are at most `MAX_BINS` + 1 bins, which all contain the same number of whole numbers.
    """
    step = -(-largest // MAX_BINS)
    return np.arange(0, largest + step + 1, step) - 0.5


def plot_unit_lengths(*, reduced_units, figure):
    """Stage: draw the histogram for one corpus and codebook.

    Args:
        reduced_units: table of `REDUCED_UNITS`.
        figure: figure to write.
    """
    values = lengths_by_split(tables.read(reduced_units, REDUCED_UNITS, ["split", "units"]))
    total = sum(part.sum() for part in values.values())
    edges = whole_edges(math.ceil(histogram_end(values)))
    save(split_histograms(values, edges, "length (reduced units)", f"{total} reduced units"), figure)
