"""The label map from clusters of the unit LM's embeddings."""

import numpy as np
import pytest

from storage import tables
from ulm.cluster_verbalizer import cluster_verbalizer, order_by_clusters
from verbalizer.schemas import LM_DATASET, VERBALIZER


def test_one_unit_of_every_cluster_comes_first():
    rng = np.random.default_rng(0)
    embeddings = np.repeat(np.eye(5) * 10, 4, 0) + rng.normal(size=(20, 5)) * 0.1
    order = order_by_clusters(embeddings, 5, 1)
    assert sorted(order) == list(range(20)) and {unit // 4 for unit in order[:5]} == set(range(5))
    assert order_by_clusters(embeddings, 30, 1) == list(range(20))


@pytest.mark.slow
def test_each_label_gets_units_of_its_own(task, pretrained, tmp_path):
    rows = [dict(utterance_id=f"u{i}", split="train", codebook="c", units=[i], labels=["ab"[i % 2]]) for i in range(6)]
    tables.write(tmp_path / "lm.parquet", rows, LM_DATASET)
    paths = dict(
        lm_dataset=tmp_path / "lm.parquet",
        model=pretrained / "model.safetensors",
        config=pretrained / "config.json",
        vocabulary=task / "vocabulary.parquet",
    )
    cluster_verbalizer(**paths, verbalizer=tmp_path / "v.parquet", seed=1)
    verbalizer = tables.read(tmp_path / "v.parquet", VERBALIZER).to_pydict()
    assert verbalizer["label"] == ["a", "b"] and len({tuple(units) for units in verbalizer["units"]}) == 2
