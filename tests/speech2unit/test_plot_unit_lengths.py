"""Reduced units an utterance."""

import numpy as np
import pytest

from speech2unit.plot_unit_lengths import MAX_BINS, lengths_by_split, plot_unit_lengths, whole_edges
from speech2unit.schemas import REDUCED_UNITS
from storage import tables


def row(name, split, units):
    return dict(utterance_id=name, split=split, codebook="toy", units=units, durations=[1] * len(units))


ROWS = [row("a", "train", [1, 2, 3]), row("b", "dev", [7]), row("c", "train", [4, 5])]


@pytest.mark.parametrize("largest", [1, 40, MAX_BINS, MAX_BINS + 1, 1499])
def test_every_bin_holds_equally_many_whole_numbers(largest):
    edges = whole_edges(largest)
    assert len(set(np.diff(edges))) == 1 and len(edges) - 1 <= MAX_BINS + 1
    assert edges[0] == -0.5 and edges[-1] > largest


@pytest.mark.slow
def test_lengths_and_a_file(tmp_path):
    tables.write(tmp_path / "reduced_units.parquet", ROWS, REDUCED_UNITS)
    lengths = lengths_by_split(tables.read(tmp_path / "reduced_units.parquet", REDUCED_UNITS))
    assert {split: part.tolist() for split, part in lengths.items()} == dict(train=[3, 2], dev=[1])
    plot_unit_lengths(reduced_units=tmp_path / "reduced_units.parquet", figure=tmp_path / "unit_lengths.svg")
    assert (tmp_path / "unit_lengths.svg").read_text().rstrip().endswith("</svg>")
