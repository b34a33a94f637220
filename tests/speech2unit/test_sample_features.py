"""The sample of a corpus is the one that a codebook takes from the features of the whole corpus."""

import numpy as np
import pytest

from speech2unit import sample_features as module
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.architectures.melhubert import MelHuBERT
from speech2unit.extract_features import extract_features
from speech2unit.fit_codebook import training_frames
from speech2unit.sample_features import sample_features
from speech2unit.schemas import FEATURES
from storage import tables

ONE_BY_ONE = dict(layer=2, max_batch_seconds_cpu=0, max_batch_seconds_gpu=0)
TRAINING = ["u1", "u3", "u7", "u9"]  # u5 is a copy at another speed


def encoder_files(folder):
    return dict(model=folder / "encoder/model.safetensors", config=folder / "encoder/config.json", root=folder)


def sampled(corpus, out, max_frames):
    """Run the stage, and return its table."""
    folder, rows = corpus
    tables.write(out / "m.parquet", rows, MANIFEST)
    files = dict(manifest=out / "m.parquet", **encoder_files(folder))
    sample_features(**files, features=out / "sample.parquet", max_frames_per_corpus=max_frames, **ONE_BY_ONE)
    return out / "sample.parquet"


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """Features of all utterances, in two shards."""
    folder, rows = corpus
    out = tmp_path_factory.mktemp("whole")
    tables.write(out / "m.parquet", rows, MANIFEST)
    paths = [out / "1.parquet", out / "2.parquet"]
    for shard, path in enumerate(paths, 1):
        files = dict(manifest=out / "m.parquet", features=path, **encoder_files(folder))
        extract_features(**files, shard=shard, num_shards=2, **ONE_BY_ONE)
    return paths


@pytest.mark.parametrize("max_frames, num_utterances", [(1, 0), (32, 1), (60, 2), (10_000, 4)])
def test_the_sample_is_that_of_the_whole_corpus(corpus, whole, tmp_path, max_frames, num_utterances):
    sample = sampled(corpus, tmp_path, max_frames)
    names = tables.read(sample, FEATURES)["utterance_id"].to_pylist()
    assert set(names) <= set(TRAINING) and len(names) == num_utterances
    if names:
        expected = training_frames(whole, max_frames)
        for frames, expected_frames in zip(training_frames([sample], None), expected, strict=True):
            assert np.array_equal(frames, expected_frames)


def test_an_encoder_that_miscounts_frames_is_refused(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(MelHuBERT, "num_frames", lambda self, num_samples: num_samples // 320)
    with pytest.raises(
        ValueError,
        match="'num_frames' of the encoder must return the number of frames of its features, here of u9; expected 24 frames",
    ):
        sampled(corpus, tmp_path, 10_000)
    assert not (tmp_path / "sample.parquet").exists()


def test_frames_of_the_training_split_alone_count(corpus):
    _, rows = corpus
    counted = []
    module.sampled_rows(rows, lambda num_samples: counted.append(num_samples) or 1, 2)
    assert sorted(counted) == sorted(row["num_samples"] for row in rows if row["utterance_id"] in TRAINING)
