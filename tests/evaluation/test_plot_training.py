"""Learning curves: one panel per split and measure, one line per seed, a dot at the update whose parameters were kept."""

import pandas
import pytest

from evaluation.plot_training import draw, kept_updates, plot_training, training_time
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


def lines(axes):
    """Return the values of each line, without the dots."""
    return [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "None"]


def dots(axes):
    return [line.get_ydata().tolist() for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata())]


def test_the_kept_update_is_the_first_of_the_lowest_dev_losses():
    assert kept_updates(pandas.DataFrame(rows())) == {1: 200, 2: 200}


def test_lines_dots_and_labels():
    train, loss, accuracy = draw(pandas.DataFrame(rows())).axes
    assert [axes.get_ylabel() for axes in (train, loss, accuracy)] == ["loss (nats per target)"] * 2 + ["accuracy (fraction)"]
    assert train.get_title(loc="left").startswith("training loss") and loss.get_title(loc="left").startswith("dev loss")
    assert accuracy.get_title(loc="left") == "dev accuracy"
    assert loss.get_xlabel() == "optimizer updates" and accuracy.get_ylim() == (0, 1.02)
    assert lines(loss) == list(DEV.values()) and len(lines(train)) == 2 and lines(accuracy)[0] == pytest.approx([0.1, 0.6, 0.4])
    assert dots(loss) == [[0.4], [0.7]] and dots(accuracy)[0] == pytest.approx([0.6]) and not dots(train)
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["one line per seed", "kept"]


def test_losses_that_differ_by_far_each_fill_their_panel():
    frame = pandas.DataFrame(rows(["loss"]))
    frame.loc[frame.split == "train", "value"] *= 100
    train, dev = draw(frame).axes
    assert train.get_ylim()[1] > 40 and dev.get_ylim()[1] < 1


def test_the_time_is_that_of_all_seeds_together():
    frame = pandas.DataFrame(rows())
    assert training_time(frame) == "12 s of training for 2 seeds together"
    assert training_time(frame[frame.seed == 1]) == "6 s of training"
    assert "12 s of training for 2 seeds together" in draw(frame).get_suptitle()


@pytest.mark.slow
def test_the_stage_draws_one_measure_of_both_splits(tmp_path):
    tables.write(tmp_path / "training.parquet", rows(["loss"]), TRAINING)
    assert len(draw(tables.read(tmp_path / "training.parquet", TRAINING).to_pandas()).axes) == 2
    plot_training(training=tmp_path / "training.parquet", figure=tmp_path / "training.svg")
    assert (tmp_path / "training.svg").read_text().rstrip().endswith("</svg>")
