"""Confusion matrix: rows are references, columns are predictions, cells are percent of the row over all seeds."""

import numpy as np
import pandas
import pytest

from storage import tables
from ulm.plot_confusion import MAX_CLASSES_WITH_NUMBERS, draw, matrix, percent_of_rows, plot_confusion
from ulm.schemas import CONFUSION

ROWS = [
    dict(seed=seed, label=label, predicted_label=predicted_label, count=count)
    for seed, label, predicted_label, count in (
        (1, "yes", "yes", 6),
        (1, "yes", "no", 2),
        (2, "yes", "yes", 8),
        (1, "no", "no", 3),
        (2, "no", "maybe", 1),
    )
]
FRAME = pandas.DataFrame(ROWS)
COUNTS = np.array([[0, 0, 0], [1, 3, 0], [0, 2, 14]])


def test_counts_are_over_seeds_and_include_labels_that_were_only_predicted():
    names, counts = matrix(FRAME, 40)
    assert names == ["maybe", "no", "yes"] and (counts == COUNTS).all()
    assert percent_of_rows(counts)[1:] == pytest.approx(np.array([[25, 75, 0], [0, 12.5, 87.5]]))
    assert np.isnan(percent_of_rows(counts)[0]).all()


def test_rare_labels_are_combined_and_no_row_is_lost():
    names, counts = matrix(FRAME, 2)
    assert names == ["yes", "other"] and counts.tolist() == [[14, 2], [0, 4]]


def test_image_ticks_and_printed_percents():
    axes, colours = draw(*matrix(FRAME, 40), 2).axes
    assert axes.images[0].get_array().data[1:] == pytest.approx(percent_of_rows(COUNTS)[1:])
    assert axes.images[0].get_clim() == (0, 100) and "%" in colours.get_ylabel()
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["maybe", "no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 1): "25",
        (1, 1): "75",
        (1, 2): "12",
        (2, 2): "88",
    }


@pytest.mark.slow
def test_each_row_has_its_number_of_references_and_rows_without_any_are_grey():
    axes, _ = draw(*matrix(FRAME, 40), 2).axes
    (numbers,) = axes.child_axes
    assert [label.get_text() for label in numbers.get_yticklabels()] == ["0", "2", "8"] and "n" in numbers.get_ylabel()
    image = axes.images[0]
    assert image.get_array().mask.all(1).tolist() == [True, False, False]
    red, green, blue, _ = image.cmap(image.norm(image.get_array()))[0, 0]
    assert red == green == blue < 1
    assert axes.get_title(loc="left") == "20 predictions on the test split, seeds: 2\ngrey: never true in the test split"
    full = draw(["no", "yes"], COUNTS[1:, 1:], 2).axes[0]
    assert full.get_title(loc="left") == "19 predictions on the test split, seeds: 2"


def test_a_large_matrix_has_no_numbers():
    size = MAX_CLASSES_WITH_NUMBERS + 1
    assert not draw([str(i) for i in range(size)], np.eye(size, dtype=int), 1).axes[0].texts


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_file(tmp_path):
    tables.write(tmp_path / "confusion.parquet", ROWS, CONFUSION)
    plot_confusion(confusion=tmp_path / "confusion.parquet", figure=tmp_path / "confusion.svg", max_classes=40)
    assert (tmp_path / "confusion.svg").read_text().rstrip().endswith("</svg>")
