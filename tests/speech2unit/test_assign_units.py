"""Every frame gets the unit of its nearest centroid."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech2unit.assign_units import assign_units, load_centroids, warn_of_unlike_speech
from speech2unit.projection import fit_projection
from speech2unit.quantize import Projection, nearest_centroids, with_context
from speech2unit.schemas import CENTROIDS, FEATURES, PROJECTION, UNITS
from storage import tables

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 8), st.integers(0, 99))
def test_the_nearest_centroid_has_the_smallest_distance(num_frames, num_clusters, dim, seed):
    rng = np.random.default_rng(seed)
    frames, centroids = rng.normal(size=(num_frames, dim)), rng.normal(size=(num_clusters, dim))
    brute_force = [min(range(num_clusters), key=lambda k: ((frame - centroids[k]) ** 2).sum()) for frame in frames]
    assert nearest_centroids(frames, centroids).tolist() == brute_force


def test_of_equal_centroids_the_first_is_used():
    assert nearest_centroids(np.ones((2, 3)), np.ones((4, 3))).tolist() == [0, 0]


def test_centroids_of_another_dimension_are_refused():
    with pytest.raises(
        ValueError, match="must have the same dimension; expected 4 values per frame, got 3; fit the codebook on the same"
    ):
        nearest_centroids(np.ones((2, 3)), np.ones((5, 4)))


@pytest.fixture
def made(tmp_path):
    """Folder with two shards of features, a projection, and centroids that are not sorted by unit; frames, projection, centroids."""
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(3 + i, 4)).astype(np.float32) for i in range(7)]
    rows = []
    for i, utterance_frames in enumerate(frames):
        row = dict(utterance_id=f"u{i}", split="train" if i else "dev", speed=1.0, num_frames=len(utterance_frames))
        rows.append(row | dict(features=utterance_frames.reshape(-1)))
    tables.write(tmp_path / "1.parquet", rows[:4], FEATURES)
    tables.write(tmp_path / "2.parquet", rows[4:], FEATURES)
    projection = fit_projection(np.concatenate([with_context(f, 1) for f in frames]), 3)
    tables.write(tmp_path / "p.parquet", projection, PROJECTION)
    centroids = rng.normal(size=(5, 3)).astype(np.float32)
    tables.write(tmp_path / "c.parquet", [dict(unit=k, centroid=centroids[k], num_frames=1) for k in (3, 0, 4, 1, 2)], CENTROIDS)
    return tmp_path, frames, Projection(1, projection), centroids


def test_centroids_come_in_order_of_their_units(made):
    folder, _, _, centroids = made
    assert np.array_equal(load_centroids(folder / "c.parquet"), centroids)


def test_the_stage_gives_one_unit_per_frame_of_every_utterance(made):
    folder, frames, project, centroids = made
    files = dict(centroids=folder / "c.parquet", projection=folder / "p.parquet", units=folder / "u.parquet")
    assign_units(features=[folder / "1.parquet", folder / "2.parquet"], **files, codebook="toy", context_frames=1)
    rows_written = tables.read(folder / "u.parquet", UNITS).to_pylist()
    assert [row["utterance_id"] for row in rows_written] == [f"u{i}" for i in range(7)]
    assert [row["split"] for row in rows_written] == ["dev"] + ["train"] * 6 and {row["codebook"] for row in rows_written} == {
        "toy"
    }
    assign_units(features=[folder / "2.parquet", folder / "1.parquet"], **files, codebook="toy", context_frames=1)
    assert tables.read(folder / "u.parquet", UNITS).to_pylist() == rows_written  # the order of the shards does not matter
    for row, utterance_frames in zip(rows_written, frames):
        distances = ((project(utterance_frames)[:, None] - centroids[None]) ** 2).sum(-1)
        assert row["units"] == distances.argmin(1).tolist()


PEAK = """import json, sys, torch
from speech2unit.assign_units import assign_units
from storage.provenance import process_peak_memory_mb
before = process_peak_memory_mb()
assign_units(**json.loads(sys.argv[1]))
print(process_peak_memory_mb() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_features(tmp_path, large_features):
    """In a process of its own, as the peak that the kernel measures never falls."""
    centroids = np.random.default_rng(0).normal(size=(50, 768)).astype(np.float32)
    tables.write(tmp_path / "c.parquet", [dict(unit=k, centroid=c, num_frames=1) for k, c in enumerate(centroids)], CENTROIDS)
    tables.write(tmp_path / "p.parquet", PROJECTION.empty_table(), PROJECTION)
    files = dict(
        features=[large_features],
        centroids=tmp_path / "c.parquet",
        projection=tmp_path / "p.parquet",
        units=tmp_path / "u.parquet",
    )
    arguments = json.dumps(files | dict(codebook="toy", context_frames=0), default=str)
    result = subprocess.run([sys.executable, "-c", PEAK, arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    assert tables.read(tmp_path / "u.parquet", UNITS).num_rows == 200
    assert float(result.stdout.splitlines()[-1]) < 350  # MB; the features are 369 MB


@pytest.mark.parametrize("counts, warns", [
    ([30, 30, 30, 30], False),
    ([60, 58, 1, 1], False),  # as varied as 2.2 units
    ([114, 2, 2, 2], True),  # as varied as 1.3
    ([30, 0, 0, 0], False),  # too few to say
])  # fmt: skip
def test_units_that_are_far_less_varied_than_in_training_are_a_warning(capsys, counts, warns):
    warn_of_unlike_speech(np.array(counts), np.array([25, 25, 25, 25]), "units.parquet")
    expected = (
        "units.parquet: the speech is unlike that of the codebook: its units are as varied as 1 equally frequent ones, where"
    )
    assert capsys.readouterr().out.startswith(expected) == warns
