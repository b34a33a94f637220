"""Extract the encoder features of one shard of a corpus.

The features of an utterance do not depend on other utterances. On a CPU each utterance is encoded by itself, so its features are
the same to the bit for any number of shards and any order. On a GPU utterances of similar length share a batch.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from speech2unit import encoders
from speech2unit.corpora.audio import SegmentDecoder, read_utterance, segments_together
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import FEATURES
from storage import tables
from storage.progress import progress
from training.device import choose_device


def rows_of_shard(rows, shard, num_shards):
    """Return the rows of shard number `shard` (from 1), the shortest utterance first. It has every `num_shards`-th row."""
    return sorted(rows[shard - 1 :: num_shards], key=lambda row: (row["num_samples"], row["utterance_id"]))


def split_into_batches(rows, max_samples):
    """Yield batches, each a list of rows.

    Args:
        rows: manifest rows sorted by length.
        max_samples: largest number of samples in a batch, padding included. A longer row is a batch of its own.
    """
    batch = []
    for row in rows:
        if batch and row["num_samples"] * (len(batch) + 1) > max_samples:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def feature_columns(rows, features):
    """Return the columns of `FEATURES` for manifest rows and their features `[T_i, dim]`."""
    columns = {name: [row[name] for row in rows] for name in ("utterance_id", "split", "speed")}
    columns["num_frames"] = [len(frames) for frames in features]
    values = pa.concat_arrays([pa.array(frames.reshape(-1), pa.float32()) for frames in features])
    offsets = np.cumsum([0] + [frames.size for frames in features])
    columns["features"] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return columns


class BatchEncoder:
    """Reads and encodes utterances of a corpus in batches, for stages that turn audio into features or units.

    Attributes:
        encoder: the loaded `Encoder`.
    """

    def __init__(self, *, model, config, layer, root, gpu, max_batch_seconds_cpu, max_batch_seconds_gpu):
        """Load the encoder.

        Args:
            model, config, layer, root, max_batch_seconds_cpu, max_batch_seconds_gpu: see `extract_features`.
            gpu: number of the GPU, modulo the number of GPUs.

        Raises:
            ValueError: if the encoder has no such layer.
        """
        device = choose_device(gpu)
        self.encoder = encoders.load(Path(model).parent, device)
        encoders.check_layer(self.encoder, layer, config)
        self.layer = layer
        self.root = Path(root)
        self.max_seconds = max_batch_seconds_gpu if device.type == "cuda" else max_batch_seconds_cpu

    def encode(self, rows):
        """Yield a list of manifest rows with the list of their features `[T_i, dim]`, batch after batch.

        Args:
            rows: manifest rows sorted by length.

        Raises:
            ValueError: if an audio file is damaged or not the one of the manifest.
        """
        sample_rate = self.encoder.sample_rate
        whole_files, segments = segments_together(rows)
        groups = [*split_into_batches(whole_files, self.max_seconds * sample_rate), *segments]
        for group in progress(groups, "batches"):
            decode_segment = SegmentDecoder(group) if group[0]["end_seconds"] else None
            for batch in split_into_batches(group, self.max_seconds * sample_rate):
                waveforms = [
                    read_utterance(self.root / row["path"], row, sample_rate=sample_rate, decode_segment=decode_segment)
                    for row in batch
                ]
                yield batch, encoders.encode(self.encoder, waveforms, self.layer)


def extract_features(
    *, manifest, model, config, features, root, layer, shard, num_shards, max_batch_seconds_cpu, max_batch_seconds_gpu
):
    """Stage: write the features of one layer for one shard of a corpus. See `FEATURES`.

    Args:
        manifest: table of `MANIFEST` of the corpus.
        model: model.safetensors of the encoder.
        config: config.json of the encoder, in the same folder.
        features: table of `FEATURES` to write.
        root: root folder of the corpus.
        layer: layer of the encoder.
        shard: number of the shard, from 1.
        num_shards: number of shards.
        max_batch_seconds_cpu: largest number of seconds of padded audio in a batch on a CPU; 0: every utterance by itself.
        max_batch_seconds_gpu: the same on a GPU.

    Raises:
        ValueError: if the encoder has no such layer, or an audio file is damaged or not the one of the manifest.
    """
    encoder = BatchEncoder(
        model=model,
        config=config,
        layer=layer,
        root=root,
        gpu=shard,
        max_batch_seconds_cpu=max_batch_seconds_cpu,
        max_batch_seconds_gpu=max_batch_seconds_gpu,
    )
    rows = rows_of_shard(tables.read(manifest, MANIFEST).to_pylist(), shard, num_shards)
    with tables.writer(features, FEATURES) as out:
        for batch, batch_features in encoder.encode(rows):
            out.write(feature_columns(batch, batch_features))
