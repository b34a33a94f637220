"""Learning curves: one panel per measure, one line per seed, a dot at the update whose parameters were kept."""

import pandas
import pytest

from evaluation.plot_training import draw, kept_updates, plot_training
from storage import tables
from storage.schemas import TRAINING

DEV = {1: [0.9, 0.4, 0.6], 2: [0.8, 0.7, 0.7]}


def rows(measures=("loss", "accuracy")):
    """Return rows of `TRAINING` whose dev losses are those of DEV."""
    curve = []
    for seed, losses in DEV.items():
        for number, loss in enumerate(losses, 1):
            row = dict(seed=seed, update=100 * number, seconds=2.0 * number)
            curve.append(row | dict(split="train", measure="loss", value=loss / 2))
            curve += [row | dict(split="dev", measure=m, value=loss if m == "loss" else 1 - loss) for m in measures]
    return curve


def lines(axes, colour):
    return [line.get_ydata().tolist() for line in axes.lines if line.get_color() == colour and len(line.get_xdata())]


def test_the_kept_update_is_the_first_of_the_lowest_dev_losses():
    assert kept_updates(pandas.DataFrame(rows())) == {1: 200, 2: 200}


def test_lines_dots_and_labels():
    figure = draw(pandas.DataFrame(rows()))
    loss, accuracy = figure.axes
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss (nats per target)", "accuracy (fraction)")
    assert loss.get_xlabel() == "optimizer updates" and "6 s of training per seed" in figure.get_suptitle()
    assert accuracy.get_ylim() == (0, 1.02)
    assert lines(loss, "#E69F00") == list(DEV.values()) and len(lines(loss, "#0072B2")) == 2
    assert lines(loss, "black") == [[0.4], [0.7]] and lines(accuracy, "black")[0] == pytest.approx([0.6])
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "dev", "kept"]


def test_the_stage_draws_one_measure_in_one_panel(tmp_path):
    tables.write(tmp_path / "training.parquet", rows(["loss"]), TRAINING)
    assert len(draw(tables.read(tmp_path / "training.parquet", TRAINING).to_pandas()).axes) == 1
    plot_training(training=tmp_path / "training.parquet", figure=tmp_path / "training.svg")
    assert (tmp_path / "training.svg").read_text().rstrip().endswith("</svg>")
