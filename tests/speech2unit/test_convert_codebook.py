"""A km.bin becomes the tables of a codebook."""

import hashlib

import joblib
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans

from speech2unit import projection
from speech2unit.assign_units import load_centroids
from speech2unit.convert_codebook import convert_codebook
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import CENTROIDS
from storage import tables
from storage.files import read_json


@pytest.fixture
def kmeans(tmp_path):
    frames = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    model = MiniBatchKMeans(12, n_init=1, random_state=0).fit(frames)
    joblib.dump(model, tmp_path / "km.bin")
    return model


def convert(folder, **settings):
    paths = dict(centroids=folder / "centroids.parquet", projection=folder / "projection.parquet", config=folder / "config.json")
    defaults = dict(sha256=["-"], encoder="toy", layer=6, num_clusters=12)
    convert_codebook(checkpoint=[folder / "km.bin"], **paths, **defaults | settings)
    return paths


def test_units_are_those_of_scikit_learn(kmeans, tmp_path):
    paths = convert(tmp_path, sha256=[hashlib.sha256((tmp_path / "km.bin").read_bytes()).hexdigest()])
    frames = np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32)
    project = projection.load(paths["projection"], 0)
    units = nearest_centroids(project(frames), load_centroids(paths["centroids"]))
    assert np.array_equal(project(frames), frames) and np.array_equal(units, kmeans.predict(frames))
    assert tables.read(paths["centroids"], CENTROIDS)["num_frames"].null_count == 12
    config = read_json(paths["config"])
    assert (config["encoder"], config["layer"], config["context_frames"]) == ("toy", 6, 0)


def test_another_number_of_clusters_is_refused(kmeans, tmp_path):
    with pytest.raises(
        ValueError, match=r"km.bin: a codebook has as many clusters as its row says; expected 100, got 12; correct num_clusters"
    ):
        convert(tmp_path, num_clusters=100)
    assert not list(tmp_path.glob("*.parquet"))


def test_another_file_is_refused(kmeans, tmp_path):
    with pytest.raises(ValueError, match=r"km.bin: a checkpoint must be the published one; expected SHA-256 0000"):
        convert(tmp_path, sha256=["0" * 64])
