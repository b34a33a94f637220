"""Histogram of how many reduced units an utterance has, a panel for each split."""

import numpy as np

from evaluation.figures import save, split_histograms
from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.schemas import SPLITS

MAX_BINS = 50


def lengths_by_split(reduced_units):
    """Split → number of reduced units of each utterance."""
    splits = np.array(reduced_units["split"].to_pylist())
    lengths = np.array([len(units) for units in reduced_units["units"]])
    return {split: lengths[splits == split] for split in SPLITS if (splits == split).any()}


def whole_edges(largest):
    """Edges of at most `MAX_BINS` + 1 bins over 0 … `largest` that hold equally many whole numbers: −0.5, 0.5, 1.5, …"""
    step = -(-largest // MAX_BINS)
    return np.arange(0, largest + step + 1, step) - 0.5


def plot_unit_lengths(*, reduced_units, figure):
    """Stage: `figure` of a corpus under a codebook."""
    values = lengths_by_split(tables.read(reduced_units, REDUCED_UNITS, ["split", "units"]))
    total = sum(part.sum() for part in values.values())
    edges = whole_edges(max(part.max() for part in values.values()))
    save(split_histograms(values, edges, "length (reduced units)", f"{total} reduced units"), figure)
