"""Features are the same in any sharding, order and batch."""

import numpy as np
import pytest
import soundfile

from speech2unit.corpora import audio
from speech2unit.corpora.containers import survey
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.extract_features import extract_features, rows_of_shard, split_into_batches
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import FEATURES
from storage import tables
from tests.factories import manifest_row_of_file


def extracted(folder, rows, num_shards=1, seconds=0, layer=2):
    """Run the stage for all shards; return utterance_id → (split, features `[T, 16]`)."""
    tables.write(folder / "m.parquet", rows, MANIFEST)
    files = dict(manifest=folder / "m.parquet", model=folder / "encoder/model.safetensors", config=folder / "encoder/config.json")
    features_of = {}
    for shard in range(1, num_shards + 1):
        extract_features(
            **files,
            features=folder / "f.parquet",
            root=folder,
            layer=layer,
            shard=shard,
            num_shards=num_shards,
            max_batch_seconds_cpu=seconds,
            max_batch_seconds_gpu=seconds,
        )
        for row in tables.read(folder / "f.parquet", FEATURES).to_pylist():
            assert row["utterance_id"] not in features_of
            features_of[row["utterance_id"]] = row["split"], np.array(row["features"], np.float32).reshape(row["num_frames"], -1)
    return features_of


@pytest.fixture(scope="module")
def alone(corpus):
    return extracted(*corpus)


def test_every_utterance_has_its_frames(corpus, alone):
    assert set(alone) == {row["utterance_id"] for row in corpus[1]}
    for row in corpus[1]:
        split, frames = alone[row["utterance_id"]]
        assert split == row["split"] and frames.dtype == np.float32
        assert frames.shape == (-(-(1 + (row["num_samples"] - 400) // 160) // 2), 16)


@pytest.mark.slow
@pytest.mark.parametrize("num_shards", [1, 3, 10])
def test_shards_and_order_give_the_same_bits(corpus, alone, num_shards):
    folder, rows = corpus
    features_of = extracted(folder, [rows[i] for i in np.random.default_rng(num_shards).permutation(10)], num_shards)
    assert {name: split for name, (split, _) in features_of.items()} == {name: split for name, (split, _) in alone.items()}
    assert all(np.array_equal(frames, alone[name][1]) for name, (_, frames) in features_of.items())


@pytest.mark.parametrize("seconds", [1.0, 100])
def test_a_batch_of_many_gives_the_same_features_and_units(corpus, alone, seconds):
    centroids = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    features_of = extracted(*corpus, seconds=seconds)
    for name, (_, frames) in features_of.items():
        np.testing.assert_allclose(frames, alone[name][1], atol=1e-4)
        assert np.array_equal(nearest_centroids(frames, centroids), nearest_centroids(alone[name][1], centroids))


def test_a_layer_that_the_encoder_lacks_is_refused(corpus):
    with pytest.raises(
        ValueError, match=r"config\.json: the encoder must have the layer; expected 0 to 2, got 3; change 'layer'"
    ):
        extracted(*corpus, layer=3)


def test_layers_differ(corpus, alone):
    assert all(np.abs(frames - alone[name][1]).max() > 0.01 for name, (_, frames) in extracted(*corpus, layer=1).items())


def test_batches_keep_to_the_limit_and_the_order(corpus):
    rows = rows_of_shard(corpus[1], 1, 1)
    assert [row["num_samples"] for row in rows] == sorted(row["num_samples"] for row in corpus[1])
    batches = list(split_into_batches(rows, 10_000))
    assert [row for batch in batches for row in batch] == rows
    assert all(len(batch) == 1 or len(batch) * max(row["num_samples"] for row in batch) <= 10_000 for batch in batches)
    assert any(len(batch) > 1 for batch in batches)
    assert all(len(batch) == 1 for batch in split_into_batches(rows, 0))


def test_every_row_is_in_one_shard():
    rows = [dict(utterance_id=str(i), num_samples=i % 3) for i in range(10)]
    parts = [rows_of_shard(rows, shard, 4) for shard in (1, 2, 3, 4)]
    assert sorted(int(row["utterance_id"]) for part in parts for row in part) == list(range(10))
    assert {len(part) for part in parts} == {2, 3}


def test_a_file_with_several_segments_is_decoded_once_per_shard(corpus, alone, tmp_path, monkeypatch):
    folder, rows = corpus
    long_file = tmp_path / "long.wav"
    waveforms = [soundfile.read(folder / row["path"], dtype="float32")[0] for row in rows]
    soundfile.write(long_file, np.concatenate(waveforms), 16_000, subtype="FLOAT")
    (tmp_path / "encoder").symlink_to(folder / "encoder")
    segments = []
    for row, waveform, end in zip(rows, waveforms, np.cumsum(list(map(len, waveforms)))):
        times = dict(start_seconds=(end - len(waveform)) / 16_000, end_seconds=end / 16_000)
        measured = {name: row[name] for name in ("utterance_id", "split", "speed", "num_samples")}
        segments.append(manifest_row_of_file(long_file, **times, **measured))
    decoded = []
    monkeypatch.setattr(audio, "survey", lambda file, path: decoded.append(path) or survey(file, path))
    features_of = extracted(tmp_path, segments, num_shards=2)
    assert decoded == [long_file] * 2
    assert features_of.keys() == alone.keys()
    assert all(np.array_equal(frames, alone[name][1]) for name, (_, frames) in features_of.items())
