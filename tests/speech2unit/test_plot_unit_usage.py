"""Bars are occurrences in training; a unit without any is marked as dead."""

import numpy as np
import pytest

from speech2unit.plot_unit_usage import draw, plot_unit_usage, usage
from speech2unit.schemas import REDUCED_UNITS
from storage import tables

ROWS = [
    dict(utterance_id="a", split="train", codebook="toy", units=[1, 3, 1], durations=[1, 9, 1]),
    dict(utterance_id="b", split="train", codebook="toy", units=[3, 1], durations=[1, 1]),
    dict(utterance_id="c", split="dev", codebook="toy", units=[2, 2], durations=[1, 1]),
]


@pytest.fixture
def reduced_units(tmp_path):
    tables.write(tmp_path / "reduced_units.parquet", ROWS, REDUCED_UNITS)
    return tmp_path / "reduced_units.parquet"


def test_runs_of_the_training_split_are_counted(reduced_units):
    assert usage(tables.read(reduced_units, REDUCED_UNITS), 5).tolist() == [0, 3, 0, 2, 0]


def test_bars_and_marks_of_dead_units():
    counts = np.array([0, 3, 0, 2, 0])
    figure = draw(counts)
    by_unit, by_rank = figure.axes
    assert [bar.get_height() for bar in by_unit.patches] == counts.tolist()
    assert [bar.get_center()[0] for bar in by_unit.patches] == pytest.approx(range(5))
    assert by_unit.lines[0].get_xdata().tolist() == [0, 2, 4]
    assert figure.get_suptitle().startswith("5 units, 3 dead, perplexity 2.0 (5 occurrences)")
    assert by_rank.lines[0].get_ydata().tolist() == [3, 2, 0, 0, 0]
    assert (by_unit.get_xlabel(), by_unit.get_ylabel()) == ("unit", "occurrences")


@pytest.mark.slow
@pytest.mark.parametrize("num_clusters", [5, 4])
@pytest.mark.filterwarnings("error")
def test_a_file_with_and_without_dead_units(reduced_units, tmp_path, num_clusters):
    plot_unit_usage(reduced_units=reduced_units, figure=tmp_path / "usage.svg", num_clusters=num_clusters)
    assert (tmp_path / "usage.svg").read_text().rstrip().endswith("</svg>")


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_no_dead_unit_is_no_mark(tmp_path):
    figure = draw(np.array([1, 1]))
    figure.savefig(tmp_path / "usage.png")
    assert len(figure.axes[0].lines[0].get_xdata()) == 0 and "2 units, 0 dead, perplexity 2.0" in figure.get_suptitle()
