"""The fitted label map: from the training split alone."""

from pathlib import Path

import numpy as np
import pandas
import pytest

from storage import tables
from verbalizer.fit_verbalizer import fit_verbalizer
from verbalizer.schemas import LM_DATASET, VERBALIZER

ROWS = [
    ("train", [5, 9, 5], ["up"]), ("train", [9, 5], ["down"]), ("train", [9, 9], ["down"]), ("train", [7, 5], ["down"]),
    ("dev", [1] * 9, ["up"]), ("test", [1] * 9, ["up"]), ("test", [1] * 9, ["up"]),
]  # fmt: skip


def fitted(folder, rows=ROWS, **settings):
    table = [dict(utterance_id=f"u{i}", split=s, codebook="c", units=u, labels=labels) for i, (s, u, labels) in enumerate(rows)]
    tables.write(folder / "lm.parquet", table, LM_DATASET)
    settings = dict(method="freq", num_units=10, seed=1) | settings
    fit_verbalizer(lm_dataset=folder / "lm.parquet", verbalizer=folder / "v.parquet", **settings)
    return tables.read(folder / "v.parquet", VERBALIZER).to_pylist()


def test_labels_by_frequency_with_both_counts(tmp_path):
    assert fitted(tmp_path) == [
        dict(label="down", units=[5], label_count=3, unit_count=4), dict(label="up", units=[9], label_count=1, unit_count=4),
    ]  # fmt: skip


def test_dev_and_test_change_nothing(tmp_path):
    assert fitted(tmp_path, ROWS[:4]) == fitted(tmp_path)


def test_random_is_seeded(tmp_path):
    rows = [("train", [1], [label]) for label in "abcdefgh"]
    first, again, other_seed = (fitted(tmp_path, rows, method="random", num_units=1000, seed=seed) for seed in (1, 1, 2))
    assert first == again != other_seed and len({row["units"][0] for row in first}) == 8
    assert all(row["unit_count"] == 0 or row["units"] == [1] for row in first)


def test_more_labels_than_units(tmp_path):
    rows = [("train", [i % 2], [label]) for i, label in enumerate("abcde")]
    assert [row["units"] for row in fitted(tmp_path, rows, num_units=2)] == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
        [0, 1, 1],
        [1, 0, 0],
    ]


def test_one_unit_for_two_labels(tmp_path):
    with pytest.raises(ValueError, match="expected two units or more, got 1 for 2 labels"):
        fitted(tmp_path, [("train", [0], ["a"]), ("train", [0], ["b"])], num_units=1)
    assert not (tmp_path / "v.parquet").exists()


@pytest.mark.slow
def test_published_units_of_google_commands_are_mapped_by_frequency(tmp_path):
    """Units by falling count in the sources are paired with labels by falling count, ties in the order of first appearance."""
    path = Path(__file__).parents[2] / "../shared/data/units_gsc_hubert100/train.parquet"
    if not path.exists():
        pytest.skip(f"no {path}: the published units are not part of the project")
    frame = pandas.read_parquet(path)
    units = frame.units.str.split() if isinstance(frame.units[0], str) else frame.units.map(list)
    rows = [("train", [int(u) for u in row], [label]) for row, label in zip(units, frame.label)]

    def ranked(values):
        names, first, counts = np.unique(values, return_index=True, return_counts=True)
        order = np.lexsort((first, -counts))
        return names[order].tolist(), counts[order].tolist()

    by_unit, unit_counts = ranked(np.concatenate([row for _, row, _ in rows]))
    by_label, label_counts = ranked(frame.label.to_numpy(str))
    found = fitted(tmp_path, rows, num_units=100)
    assert [(row["label"], row["units"]) for row in found] == [(label, [unit]) for label, unit in zip(by_label, by_unit)]
    assert [row["unit_count"] for row in found] == unit_counts[:12]
    assert [row["label_count"] for row in found] == label_counts and len(found) == 12
