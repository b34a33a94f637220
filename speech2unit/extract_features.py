"""Encoder features of one shard of a corpus.

Frames of an utterance depend on that utterance alone: on a CPU each one is encoded by itself, so features are the same
to the bit for any sharding and order. On a GPU utterances of similar length share a batch.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from speech2unit import encoders
from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import FEATURES
from storage import tables
from storage.progress import progress
from training.device import choose_device


def shard_of(rows, shard, num_shards):
    """Every `num_shards`-th of the rows from `shard` (counted from 1) on, shortest first."""
    return sorted(rows[shard - 1 :: num_shards], key=lambda row: (row["num_samples"], row["utterance_id"]))


def batches_of(rows, max_samples):
    """Split rows that are sorted by length into batches of at most `max_samples` padded samples (at least one row each)."""
    batch = []
    for row in rows:
        if batch and row["num_samples"] * (len(batch) + 1) > max_samples:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def feature_rows(batch, features):
    """Record batch of a list of manifest rows and their features `[T_i, dim]`."""
    values = pa.concat_arrays([pa.array(f.reshape(-1), pa.float32()) for f in features])
    offsets = np.cumsum([0] + [f.size for f in features])
    columns = {name: [row[name] for row in batch] for name in ("utterance_id", "split", "speed")}
    columns |= dict(num_frames=[len(f) for f in features])
    return columns | dict(features=pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values))


def extract_features(
    *, manifest, model, config, features, root, layer, shard, num_shards, max_batch_seconds_cpu, max_batch_seconds_gpu
):
    """Stage: features of layer `layer` for shard `shard` (from 1) of `num_shards`. See `FEATURES`."""
    device = choose_device(shard)
    encoder = encoders.load(Path(model).parent, device)
    encoders.check_layer(encoder, layer, config)
    max_seconds = max_batch_seconds_gpu if device.type == "cuda" else max_batch_seconds_cpu
    rows = shard_of(tables.read(manifest, MANIFEST).to_pylist(), shard, num_shards)
    with tables.writer(features, FEATURES) as out:
        for batch in progress(list(batches_of(rows, max_seconds * encoder.sample_rate)), "batches"):
            waveforms = [read_utterance(Path(root) / row["path"], row, sample_rate=encoder.sample_rate) for row in batch]
            out.write(feature_rows(batch, encoders.encode(encoder, waveforms, layer)))
