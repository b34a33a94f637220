"""The codebook is fitted on training frames only, and does not depend on the order of shards and rows."""

import numpy as np
import pyarrow as pa
import pytest

from speech2unit.fit_codebook import fit_centroids, fit_codebook, is_sampled, training_frames
from speech2unit.schemas import CENTROIDS, FEATURES, PROJECTION
from storage import tables

KMEANS = dict(num_iterations=5, num_restarts=1, seed=1)
STAGE = KMEANS | dict(encoder="toy", layer=2, num_clusters=6, context_frames=1, num_components=3, max_frames_per_corpus=10_000)


def row(name, split, frames, speed=1.0):
    return dict(utterance_id=name, split=split, speed=speed, num_frames=len(frames), features=frames.reshape(-1))


def rows(count=30):
    rng = np.random.default_rng(0)
    frame_rows = []
    for i in range(count):
        frames = (rng.normal(size=(5 + i % 4, 4)) + 4 * (i % 3)).astype(np.float32)
        split = "train" if i % 5 else "test"
        frame_rows.append(row(f"u{i:02d}", split, frames))
    return frame_rows


def write_shards(folder, frame_rows, num_shards):
    paths = [folder / f"{i + 1}-of-{num_shards}.parquet" for i in range(num_shards)]
    for i, path in enumerate(paths):
        tables.write(path, frame_rows[i::num_shards], FEATURES)
    return paths


def fitted(folder, paths, **settings):
    outputs = dict(centroids=folder / "c.parquet", projection=folder / "p.parquet", config=folder / "config.json")
    fit_codebook(features=paths, **outputs, **STAGE | settings)
    return tables.read(outputs["centroids"], CENTROIDS), tables.read(outputs["projection"], PROJECTION)


@pytest.fixture
def codebook(tmp_path):
    """Centroids and projection that are fitted on a single shard."""
    (tmp_path / "single").mkdir()
    return fitted(tmp_path, write_shards(tmp_path / "single", rows(), 1))


@pytest.mark.slow
@pytest.mark.parametrize("num_shards", [2, 5])
def test_shards_and_the_order_of_rows_do_not_matter(tmp_path, codebook, num_shards):
    (tmp_path / "other").mkdir()
    shuffled = [rows()[i] for i in np.random.default_rng(1).permutation(30)]
    paths = write_shards(tmp_path / "other", shuffled, num_shards)
    again = fitted(tmp_path, paths[::-1])
    assert again[0].equals(codebook[0]) and again[1].equals(codebook[1])


def test_every_training_frame_is_counted_and_no_other(codebook):
    expected = sum(row["num_frames"] for row in rows() if row["split"] == "train")
    assert sum(codebook[0]["num_frames"].to_pylist()) == expected
    assert codebook[0]["unit"].to_pylist() == list(range(6))
    assert all(len(centroid) == 3 for centroid in codebook[0]["centroid"].to_pylist()) and codebook[1].num_rows == 3


def test_other_splits_change_nothing(tmp_path, codebook):
    (tmp_path / "changed").mkdir()
    changed = [row if row["split"] == "train" else row | dict(features=row["features"] * 100) for row in rows()]
    again = fitted(tmp_path, write_shards(tmp_path / "changed", changed, 2))
    assert again[0].equals(codebook[0]) and again[1].equals(codebook[1])


def test_copies_at_other_speeds_change_nothing(tmp_path, codebook):
    (tmp_path / "more").mkdir()
    copies = [row(f"sp0.9-{r['utterance_id']}", r["split"], 50 + r["features"].reshape(-1, 4), 0.9) for r in rows()]
    again = fitted(tmp_path, write_shards(tmp_path / "more", rows() + copies, 2))
    assert again[0].equals(codebook[0]) and again[1].equals(codebook[1])


def test_clusters_far_apart_are_found():
    noise = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32) / 10
    frames = np.repeat(np.eye(4, dtype=np.float32) * 10, 25, 0) + noise
    centroids, counts = fit_centroids(frames, num_clusters=4, num_iterations=20, num_restarts=5, seed=1)
    assert counts.tolist() == [25] * 4
    np.testing.assert_allclose(np.sort(centroids.max(1)), 10, atol=0.1)


def test_dead_units_are_counted(tmp_path, capsys):
    same = np.ones((40, 2), np.float32)
    _, counts = fit_centroids(same, num_clusters=3, **KMEANS)
    assert sorted(counts.tolist()) == [0, 0, 40]
    tables.write(tmp_path / "f.parquet", [row("a", "train", same)], FEATURES)
    centroids, projection = fitted(tmp_path, [tmp_path / "f.parquet"], num_clusters=3, num_components=0, context_frames=0)
    assert sorted(centroids["num_frames"].to_pylist()) == [0, 0, 40] and projection.num_rows == 0
    assert "40 frames, 3 clusters, 2 of them empty" in capsys.readouterr().out


def test_fewer_frames_than_clusters_are_refused():
    with pytest.raises(
        ValueError, match="k-means: every cluster needs a frame; expected at least 9 training frames, got 8; use a"
    ):
        fit_centroids(np.ones((8, 2), np.float32), num_clusters=9, **KMEANS)


def test_a_corpus_without_training_frames_is_refused(tmp_path):
    paths = write_shards(tmp_path, [row for row in rows() if row["split"] == "test"], 1)
    with pytest.raises(ValueError, match="fitted on the training split; expected training frames, got none; check the splits"):
        fitted(tmp_path, paths)
    assert not (tmp_path / "c.parquet").exists()


def test_a_fraction_of_the_utterances_is_chosen_by_name(tmp_path):
    names = [f"utterance{i}" for i in range(4000)]
    assert 800 < sum(is_sampled(name, 0.25) for name in names) < 1200
    assert all(is_sampled(name, 1.0) for name in names) and not any(is_sampled(name, 0.0) for name in names)
    paths = write_shards(tmp_path, rows(), 2)
    sampled = training_frames(paths, 60)
    everything = training_frames(paths, 10_000)
    assert 0 < len(sampled) < len(everything) == 24
    assert all(any(np.array_equal(frames, candidate) for candidate in everything) for frames in sampled)


def test_corpora_may_share_names(tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths += write_shards(tmp_path / name, rows(), 2)
    assert len(training_frames(paths, 10_000)) == 48


def test_only_the_sampled_frames_stay_in_memory(large_features):
    held_before = pa.total_allocated_bytes()
    frames = training_frames([large_features], 3000)
    assert 2 <= len(frames) <= 9 and all(utterance.shape == (600, 768) for utterance in frames)
    assert all(utterance.base is None and len(np.unique(utterance)) == 1 for utterance in frames)  # a copy of its own values
    assert pa.total_allocated_bytes() - held_before < 4 * 600 * 768  # less than one utterance
