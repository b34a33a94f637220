"""A bar for each class and split; the rare classes share one."""

import pytest

from storage import tables
from verbalizer.plot_classes import class_counts, draw, plot_classes
from verbalizer.schemas import LM_DATASET

ROWS = [
    dict(utterance_id=f"{split}{label}{i}", split=split, codebook="toy", units=[1], labels=label.split())
    for split, label, count in (
        ("train", "on light", 3),
        ("train", "off", 5),
        ("train", "up", 1),
        ("dev", "on light", 2),
        ("test", "up", 4),
        ("test", "down", 1),
    )
    for i in range(count)
]


def test_classes_by_training_frequency():
    counts = class_counts(ROWS, 10, False)
    assert list(counts) == ["off", "on light", "up", "down"]
    assert counts["up"] == dict(train=1, test=4) and counts["down"]["train"] == 0


def test_rare_classes_share_a_bar_and_no_row_is_lost():
    counts = class_counts(ROWS, 3, False)
    assert list(counts) == ["off", "on light", "other (2 classes)"]
    assert counts["other (2 classes)"] == dict(train=1, test=5)
    assert sum(sum(by_split.values()) for by_split in counts.values()) == len(ROWS)


def test_each_label_of_a_sequence_is_counted():
    rows = [dict(split="train", labels=["3", "7", "3"]), dict(split="train", labels=["7", "3"]), dict(split="test", labels=["1"])]
    counts = class_counts(rows, 10, True)
    assert list(counts.items()) == [("3", dict(train=3)), ("7", dict(train=2)), ("1", dict(test=1))]
    assert draw(counts, "labels").axes[0].get_xlabel() == "labels"
    assert list(class_counts(rows, 10, False)) == ["3 7 3", "7 3", "1"]


def test_bar_lengths_labels_and_totals():
    train, dev, test = draw(class_counts(ROWS, 10, False)).axes
    assert [bar.get_width() for bar in train.patches] == [5, 3, 1, 0]
    assert [bar.get_width() for bar in dev.patches] == [0, 2, 0, 0]
    assert [label.get_text() for label in train.get_yticklabels()] == ["off", "on light", "up", "down"]
    assert (test.get_title(loc="left"), test.get_xlabel(), train.get_ylabel()) == ("test: 5", "utterances", "class")
    assert train.get_ylim()[0] > train.get_ylim()[1]  # the most frequent on top


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("max_classes", [1, 60])
def test_a_file(tmp_path, max_classes):
    tables.write(tmp_path / "lm_dataset.parquet", ROWS, LM_DATASET)
    plot_classes(
        lm_dataset=tmp_path / "lm_dataset.parquet", figure=tmp_path / "classes.svg", max_classes=max_classes, sequences=False
    )
    assert (tmp_path / "classes.svg").read_text().rstrip().endswith("</svg>")
