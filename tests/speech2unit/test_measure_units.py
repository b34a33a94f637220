"""Statistics of units on toy data, compared with values computed by hand."""

import numpy as np
import pytest

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.measure_units import label_measures, measure_units, unit_measures
from speech2unit.schemas import REDUCED_UNITS, STATISTICS
from storage import tables
from tests.factories import manifest_row

NAMES = dict(codebook="k", corpus="c", num_clusters=4)


def test_measures_of_counts_as_computed_by_hand():
    runs = np.array([[2, 0], [1, 1], [0, 0]])
    frames = np.array([[6, 0], [1, 3], [0, 0]])
    measures = unit_measures(runs, frames, 0.5)
    assert (measures["num_units"], measures["num_frames"], measures["dead_units"], measures["num_labels"]) == (4, 10, 1, 2)
    assert (measures["entropy"], measures["units_per_second"], measures["bitrate"]) == (1.0, 8.0, 8.0)
    frame_entropy = -0.6 * np.log2(0.6) - 0.4 * np.log2(0.4)
    assert measures["frame_bitrate"] == pytest.approx(20 * frame_entropy) and measures["frame_entropy"] == pytest.approx(
        frame_entropy
    )
    assert (measures["label_purity"], measures["cluster_purity"]) == (pytest.approx(0.9), pytest.approx(0.9))


@pytest.mark.parametrize("counts", [[[3, 0], [5, 0]], [[4], [2]], [[0, 0], [0, 0]]])
def test_fewer_than_two_labels_have_no_measures(counts):
    assert label_measures(np.array(counts)) == dict(label_purity=None, cluster_purity=None, pnmi=None)


def test_label_measures_of_units_that_equal_the_labels_and_of_a_single_unit():
    assert label_measures(np.diag([3, 5])) == dict(label_purity=1, cluster_purity=1, pnmi=pytest.approx(1))
    assert label_measures(np.array([[3, 5]])) == dict(label_purity=0.625, cluster_purity=1, pnmi=pytest.approx(0))


def measured(tmp_path, rows, label_columns):
    """Run the stage on rows (split, speed, labels, units, durations, number of samples); return split → row of `STATISTICS`."""
    manifest = []
    reduced_units = []
    for i, (split, speed, labels, units, durations, num_samples) in enumerate(rows):
        length = dict(num_samples=num_samples, sample_rate=16_000 if num_samples else 0)
        manifest.append(manifest_row(f"u{i}", split=split, speed=speed, labels=labels, **length))
        reduced_units.append(dict(utterance_id=f"u{i}", split=split, codebook="k", units=units, durations=durations))
    tables.write(tmp_path / "manifest.parquet", manifest, MANIFEST)
    tables.write(tmp_path / "reduced_units.parquet", reduced_units, REDUCED_UNITS)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("reduced_units", "manifest", "statistics")}
    measure_units(**paths, **NAMES, label_columns=label_columns)
    return {row["split"]: row for row in tables.read(paths["statistics"], STATISTICS).to_pylist()}


ROWS = [
    ("train", 1.0, ["yes", "a"], [0, 1], [2, 2], 16_000),
    ("train", 1.0, ["no", "a"], [2, 1], [3, 1], 16_000),
    ("train", 0.9, ["no", "a"], [3], [50], 16_000),
    ("test", 1.0, ["no", "b"], [3], [4], 8_000),
]


def test_one_row_per_split_without_speed_copies(tmp_path):
    rows = measured(tmp_path, ROWS, "word,other")
    assert set(rows) == {"train", "test"}
    train = rows["train"]
    test = rows["test"]
    assert (train["num_utterances"], train["seconds"], train["num_units"], train["num_frames"]) == (2, 2.0, 4, 8)
    assert (train["dead_units"], test["dead_units"], test["bitrate"], test["num_units"]) == (1, 3, 0.0, 1)
    assert (train["entropy"], train["units_per_second"]) == (1.5, 2.0)
    assert train["label_purity"] == pytest.approx(7 / 8) and train["cluster_purity"] == pytest.approx(5 / 8)
    assert train["num_labels"] == test["num_labels"] == 3 and test["pnmi"] is None


def test_measures_of_time_are_null_without_audio_and_those_of_labels_for_sequences(tmp_path):
    rows = [(split, speed, labels, units, [1] * len(units), 0) for split, speed, labels, units, _, _ in ROWS]
    train = measured(tmp_path, rows, "words[]")["train"]
    null = ("seconds", "bitrate", "frame_bitrate", "num_frames", "units_per_second", "frame_entropy", "pnmi", "label_purity")
    assert [train[name] for name in null] == [None] * 8 and (train["num_labels"], train["entropy"]) == (1, 1.5)
