"""Features are the same in any sharding, order and batch."""

from dataclasses import asdict

import numpy as np
import pytest
import soundfile
import torch

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.extract_features import extract_features, rows_of_shard, split_into_batches
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import FEATURES
from storage import tables
from storage.weights import save_config, save_tensors
from tests.factories import manifest_row_of_file

SIZES = MelHuBERTConfig(num_layers=2, dim=16, ffn_dim=32, num_heads=2, conv_kernel=6, conv_groups=4, num_targets=(4,))
RNG = np.random.default_rng(0)
LENGTHS = [400, 16_000, 2_000, 2_000, 5_500, 9_001, 720, 12_345, 3_000, 8_000]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Folder with ten files, their rows, and a random MelHuBERT."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for i, length in enumerate(LENGTHS):
        soundfile.write(folder / f"{i}.wav", (0.1 * RNG.standard_normal(length)).astype(np.float32), 16_000, subtype="FLOAT")
        played_slower = dict(speed=0.9, num_samples=10_001) if i == 5 else {}
        split = "train" if i % 2 else "test"
        rows.append(manifest_row_of_file(folder / f"{i}.wav", utterance_id=f"u{i}", split=split, **played_slower))
    torch.manual_seed(0)
    tensors = MelHuBERTModel(SIZES).state_dict() | dict(mean=torch.full((40,), 8.0), std=torch.full((40,), 3.0))
    save_tensors(folder / "encoder/model.safetensors", tensors)
    save_config(folder / "encoder/config.json", dict(architecture="melhubert", subtract_loudness=False) | asdict(SIZES))
    return folder, rows


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
