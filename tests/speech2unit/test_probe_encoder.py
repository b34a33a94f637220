"""The probe of an encoder: segments, pooled features, the classifier, and the row of the table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.probe_encoder import pool_segments, probe_accuracy, probe_encoder, resample_units, segment_indices
from speech2unit.schemas import FEATURES, PROBE, UNITS
from storage import tables
from tests.factories import manifest_row


@given(st.integers(1, 60), st.integers(1, 9))
def test_segments_follow_each_other_and_have_equal_lengths(num_frames, num_segments):
    segments = segment_indices(num_frames, num_segments)
    assert len(segments) == num_frames and (np.diff(segments) >= 0).all() and set(segments) <= set(range(num_segments))
    if num_frames >= num_segments:
        sizes = np.bincount(segments, minlength=num_segments)
        assert sizes.max() - sizes.min() <= 1


@given(st.integers(1, 30), st.integers(1, 9))
def test_pooled_features_are_means_of_the_segments(num_frames, num_segments):
    frames = np.arange(num_frames, dtype=float)[:, None] * [1.0, 10.0]
    pooled = pool_segments(frames, num_segments).reshape(num_segments, 2)
    assert (pooled[:, 1] == 10 * pooled[:, 0]).all() and (np.diff(pooled[:, 0]) >= 0).all()
    assert pooled.min() >= 0 and pooled[:, 0].max() <= num_frames - 1
    if num_segments == 1:
        assert pooled[0, 0] == pytest.approx(frames[:, 0].mean())
    if num_frames == num_segments:
        assert np.array_equal(pooled, frames)


def test_units_are_resampled_at_the_middle_of_the_new_frames():
    units = np.array([1, 2, 3, 4])
    assert resample_units(units, 4).tolist() == [1, 2, 3, 4] and resample_units(units, 2).tolist() == [2, 4]
    assert resample_units(units, 8).tolist() == [1, 1, 2, 2, 3, 3, 4, 4] and resample_units(units, 5).tolist() == [1, 2, 3, 3, 4]


def test_the_probe_is_fitted_on_the_training_split_alone():
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"] * 50)
    vectors = rng.standard_normal((100, 4)) + 4 * (labels == "a")[:, None]
    splits = np.array(["train"] * 60 + ["dev"] * 20 + ["test"] * 20)
    assert probe_accuracy(vectors, labels, splits, 1.0) >= 0.95
    wrong = np.where(splits == "train", np.where(labels == "a", "b", "a"), labels)
    assert probe_accuracy(vectors, wrong, splits, 1.0) <= 0.05


@pytest.fixture
def files(tmp_path):
    """Paths of tables with two words that differ in the second half of their frames, and with copies at another speed."""
    rng = np.random.default_rng(0)
    rows = []
    features = []
    units = []
    parent_units = []
    for i in range(40):
        word = i // 4 % 2
        split = ("train", "train", "dev", "test")[i % 4]
        rows.append(manifest_row(f"u{i}", split=split, labels=["x", ("yes", "no")[word]], speed=1.0 if i < 32 else 0.9))
        frame_units = np.array([0, 0, 0, 1 + word, 1 + word, 1 + word]) if i < 32 else rng.integers(0, 3, 6)
        frames = np.eye(3)[frame_units] + 0.01 * rng.standard_normal((6, 3))
        key = dict(utterance_id=f"u{i}", split=split)
        features.append(key | dict(speed=rows[-1]["speed"], num_frames=6, features=frames.flatten()))
        units.append(key | dict(codebook="child", units=frame_units))
        parent_units.append(key | dict(codebook="parent", units=np.repeat(5 - frame_units, 2)))
    names = ("manifest", "odd_features", "even_features", "units", "parent_units", "probe")
    paths = {name: tmp_path / f"{name}.parquet" for name in names}
    tables.write(paths["manifest"], rows, MANIFEST)
    tables.write(paths["odd_features"], features[1::2], FEATURES)
    tables.write(paths["even_features"], features[::2], FEATURES)
    tables.write(paths["units"], units, UNITS)
    tables.write(paths["parent_units"], parent_units, UNITS)
    return paths


def probed(files, **changed):
    settings = dict(
        encoder="e",
        corpus="c",
        codebook="child",
        layer=2,
        label="word",
        corpus_labels=["x", "word", "none"],
        num_segments=2,
        regularisation=1.0,
    )
    inputs = {name: files[name] for name in ("manifest", "units", "parent_units", "probe")}
    probe_encoder(**inputs, features=[files["odd_features"], files["even_features"]], **settings | changed)
    return tables.read(files["probe"], PROBE).to_pylist()[0]


def test_the_row_of_an_encoder_whose_units_are_those_of_its_parent_with_other_numbers(files):
    row = probed(files)
    assert row["probe_accuracy"] == 1 and row["num_test_rows"] == 8 and row["agreement"] == pytest.approx(1)
    assert row["purity"] == pytest.approx(0.75)  # the first half sounds alike in both words
    assert row["pnmi"] == pytest.approx(0.75)
    assert (row["encoder"], row["corpus"], row["codebook"], row["layer"]) == ("e", "c", "child", 2)


def test_with_one_segment_a_class_is_the_label(files):
    row = probed(files, num_segments=1)
    assert row["purity"] == pytest.approx(0.75) and row["pnmi"] == pytest.approx(0.5) and row["probe_accuracy"] == 1


@pytest.mark.parametrize("label", ["x", "none"])
def test_a_corpus_without_different_labels_is_refused(files, label):
    with pytest.raises(
        ValueError, match="manifest.parquet: a probe needs different labels in train and test; .*; choose another corpus"
    ):
        probed(files, label=label)
