"""Extract the encoder features that codebooks are fitted on: those of a sample of the training utterances of a corpus.

The sample is the one that `fit_codebook` takes from the features of the whole corpus, so the codebook is the same. Which utterances
are in it depends on the number of training frames; the encoder computes this number from the lengths in the manifest.
"""

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.extract_features import BatchEncoder, feature_columns, rows_of_shard
from speech2unit.fit_codebook import is_sampled, sampled_fraction
from speech2unit.schemas import FEATURES
from storage import tables
from storage.errors import data_error


def sampled_rows(rows, num_frames, max_frames):
    """Return the manifest rows of the utterances that a codebook is fitted on.

    Args:
        rows: manifest rows of a corpus.
        num_frames: function that maps a number of samples to a number of frames, see `Encoder.num_frames`.
        max_frames: approximate number of frames to sample.
    """
    training = [row for row in rows if row["split"] == "train" and row["speed"] == 1]
    fraction = sampled_fraction(sum(num_frames(row["num_samples"]) for row in training), max_frames)
    return [row for row in training if is_sampled(row["utterance_id"], fraction)]


def sample_features(
    *,
    manifest,
    model,
    config,
    features,
    root,
    layer,
    max_frames_per_corpus,
    max_batch_seconds_cpu,
    max_batch_seconds_gpu,
):
    """Stage: write the features of one layer for the utterances that codebooks on this layer are fitted on. See `FEATURES`.

    Args:
        manifest, model, config, root, layer, max_batch_seconds_cpu, max_batch_seconds_gpu: see `extract_features`.
        features: table of `FEATURES` to write.
        max_frames_per_corpus: approximate number of frames to sample; see `fit_codebook`.

    Raises:
        ValueError: if the encoder has no such layer or miscounts frames, or an audio file is damaged or not the one of the manifest.
    """
    encoder = BatchEncoder(
        model=model,
        config=config,
        layer=layer,
        root=root,
        gpu=0,
        max_batch_seconds_cpu=max_batch_seconds_cpu,
        max_batch_seconds_gpu=max_batch_seconds_gpu,
    )
    num_frames = encoder.encoder.num_frames
    rows = sampled_rows(tables.read(manifest, MANIFEST).to_pylist(), num_frames, max_frames_per_corpus)
    with tables.writer(features, FEATURES) as out:
        for batch, batch_features in encoder.encode(rows_of_shard(rows, shard=1, num_shards=1)):
            columns = feature_columns(batch, batch_features)
            for row, got in zip(batch, columns["num_frames"]):
                _check_count(row, num_frames(row["num_samples"]), got, config)
            out.write(columns)


def _check_count(row, counted, got, config):
    """Raise `ValueError` if an encoder counts other frames than it computes, because the sample would be another one."""
    if counted != got:
        raise data_error(
            config,
            f"'num_frames' of the encoder must return the number of frames of its features, here of {row['utterance_id']}",
            expected=f"{got} frames of {row['num_samples']} samples",
            got=f"{counted}",
            remedy="correct the architecture, or set 'features' to kept or temporary",
        )
