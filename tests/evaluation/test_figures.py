"""Figures: histograms show the given values, and equal figures give equal, complete files."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from evaluation.figures import MAX_MEDIANS, SPLIT_COLOURS, histogram_end, new_figure, save, split_histograms
from storage.schemas import SPLITS

VALUES = dict(train=np.array([0.5, 0.6, 1.5, 2.5]), test=np.array([1.5]))


def heights(axes):
    return [bar.get_height() for bar in axes.patches]


def test_one_histogram_per_split():
    train, test = split_histograms(VALUES, np.arange(4), "duration (s)", "title").axes
    assert (heights(train), heights(test)) == ([2, 1, 1], [0, 1, 0])
    assert train.get_title(loc="left") == "train: 4 utterances, median 1.05 (dashed)"
    assert (test.get_xlabel(), test.get_ylabel(), test.get_xlim()) == ("duration (s)", "utterances", (0, 3))
    assert train.lines[0].get_xdata()[0] == pytest.approx(1.05)


def test_a_histogram_ends_at_the_largest_value_or_at_a_multiple_of_the_median():
    assert histogram_end(VALUES) == 2.5
    assert histogram_end(VALUES | dict(dev=np.array([60.0]))) == MAX_MEDIANS * 1.5


def test_the_last_bar_holds_larger_values_and_the_title_counts_them():
    values = dict(train=np.array([0.5, 3.0, 3.5, 60.25]), test=np.array([1.5]))
    train, test = split_histograms(values, np.arange(4), "duration (s)", "title").axes
    assert heights(train) == [1, 0, 3] and train.get_xlim() == (0, 3)
    assert train.get_title(loc="left") == "train: 4 utterances, median 3.25 (dashed); last bar: 2 above 3, up to 60.25"
    assert "last bar" not in test.get_title(loc="left")


def test_each_split_has_its_own_colour():
    assert set(SPLIT_COLOURS) == set(SPLITS) and len(set(SPLIT_COLOURS.values())) == len(SPLITS)


@pytest.mark.slow
def test_svg_is_well_formed_and_reproducible(tmp_path):
    paths = [tmp_path / f"{number}.svg" for number in range(2)]
    for path in paths:
        save(split_histograms(VALUES, np.arange(4), "duration (s)", "title"), path)
    assert ElementTree.parse(paths[0]).getroot().tag.endswith("svg")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_png_has_its_size_in_pixels_and_leaves_no_temporary_file(tmp_path):
    save(new_figure(3, 2), tmp_path / "deeper" / "figure.png")
    with Image.open(tmp_path / "deeper" / "figure.png") as image:
        assert (image.format, image.size) == ("PNG", (330, 220))
    assert [path.name for path in (tmp_path / "deeper").iterdir()] == ["figure.png"]


def test_an_unknown_format_leaves_no_file(tmp_path):
    with pytest.raises(ValueError, match="'tiff2'"):
        save(new_figure(3, 2), tmp_path / "figure.tiff2")
    assert not list(tmp_path.iterdir())


def test_dollars_in_a_label_are_no_formula(tmp_path):
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.set_xticks([0, 1], ["a$_{ $b", "US$ to A$"])
    axes.set_title("<b> 50% $x^$")
    save(figure, tmp_path / "a.svg")
