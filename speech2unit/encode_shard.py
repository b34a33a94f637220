"""Encode one shard of a corpus and assign units at once, for one or several codebooks: no features reach the disk.

The units are those of `extract_features` and `assign_units`. On a CPU they are the same to the bit.
"""

from speech2unit.assign_units import load_codebook
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.extract_features import BatchEncoder, rows_of_shard
from speech2unit.schemas import ENCODED_UNITS
from storage import tables


def encode_shard(
    *,
    manifest,
    model,
    config,
    centroids,
    projection,
    encoded_units,
    root,
    layer,
    codebooks,
    context_frames,
    shard,
    num_shards,
    max_batch_seconds_cpu,
    max_batch_seconds_gpu,
):
    """Stage: write the units of one shard of a corpus in each of several codebooks on one layer. See `ENCODED_UNITS`.

    Args:
        manifest, model, config, root, layer, shard, num_shards, max_batch_seconds_cpu, max_batch_seconds_gpu: see
            `extract_features`.
        centroids, projection: tables of `CENTROIDS` and of `PROJECTION`, one of each per codebook.
        encoded_units: table of `ENCODED_UNITS` to write.
        codebooks: names of the codebooks.
        context_frames: for each codebook, the number of frames before and after each frame that k-means sees together with it.

    Raises:
        ValueError: if the encoder has no such layer, a codebook has another dimension, or an audio file is damaged or not the one of
            the manifest.
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
    assign = {name: load_codebook(*files) for name, *files in zip(codebooks, centroids, projection, context_frames)}
    rows = rows_of_shard(tables.read(manifest, MANIFEST).to_pylist(), shard, num_shards)
    with tables.writer(encoded_units, ENCODED_UNITS) as out:
        for batch, features in encoder.encode(rows):
            for row, frames in zip(batch, features):
                about_row = dict(utterance_id=row["utterance_id"], split=row["split"])
                out.write([about_row | dict(codebook=name, units=assign[name](frames)) for name in codebooks])
