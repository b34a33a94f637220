"""Fit a k-means codebook on the encoder features of the training split, after adding context frames and projecting them."""

import zlib
from pathlib import Path

import numpy as np

from speech2unit.projection import fit_projection
from speech2unit.quantize import Projection, with_context
from speech2unit.schemas import CENTROIDS, FEATURES, PROJECTION
from storage import tables
from storage.errors import data_error
from storage.weights import save_config


def is_sampled(utterance_id, fraction):
    """Return whether the codebook is fitted on an utterance, decided by a hash of its name.

    The result does not depend on the order of the utterances or on the number of shards.

    Args:
        utterance_id: the utterance.
        fraction: approximate fraction of the utterances to fit on, from 0 to 1.
    """
    return zlib.crc32(utterance_id.encode()) < fraction * 2**32


def sampled_fraction(num_frames, max_frames):
    """Return the fraction of a corpus's training utterances that a codebook is fitted on.

    Args:
        num_frames: number of training frames of the corpus.
        max_frames: approximate number of frames to sample.
    """
    return max_frames / max(num_frames, 1)


def training_frames(paths, max_frames_per_corpus):
    """Return the frames of training utterances at their original speed.

    Args:
        paths: tables of `FEATURES`. Those in one folder belong to one corpus.
        max_frames_per_corpus: approximate number of frames to sample from each corpus. Whole utterances are sampled. None: the
            tables have the sampled utterances alone.

    Returns:
        List of arrays `[T, dim]`, one per utterance: corpus after corpus, and by utterance_id in each corpus.

    Raises:
        ValueError: if there is no training frame.
    """
    paths_of_corpus = {}
    for path in paths:
        paths_of_corpus.setdefault(Path(path).parent, []).append(path)
    frames = []
    for corpus in sorted(paths_of_corpus):
        frames += _corpus_frames(paths_of_corpus[corpus], max_frames_per_corpus)
    if not frames:
        raise data_error(
            paths[0],
            "a codebook is fitted on the training split",
            expected="training frames",
            got="none",
            remedy="check the splits in the manifest, or raise fit_codebook.max_frames_per_corpus",
        )
    return frames


def _corpus_frames(paths, max_frames):
    """Return the sampled frames of one corpus; see `training_frames`."""
    fraction = 1.0
    if max_frames is not None:
        lengths = tables.read_many(paths, FEATURES, ["split", "speed", "num_frames"]).to_pandas()
        is_training = (lengths.split == "train") & (lengths.speed == 1)
        fraction = sampled_fraction(int(lengths.num_frames[is_training].sum()), max_frames)
    frames = {}
    for path in paths:
        for batch in tables.stream(path, FEATURES):
            for name, split, speed, num_frames, values in zip(*batch.columns):
                if split.as_py() == "train" and speed.as_py() == 1 and is_sampled(name.as_py(), fraction):
                    # A copy: a view would keep the whole batch in memory.
                    frames[name.as_py()] = values.values.to_numpy().reshape(num_frames.as_py(), -1).copy()
    return [frames[name] for name in sorted(frames)]


def fit_centroids(frames, *, num_clusters, num_iterations, num_restarts, seed):
    """Fit k-means with Lloyd's algorithm, and keep the best restart.

    Args:
        frames: array `[T, dim]`.
        num_clusters: number of centroids, at most T.
        num_iterations: number of iterations in each restart.
        num_restarts: number of initializations.
        seed: seed of the initializations.

    Returns:
        Centroids `[num_clusters, dim]`, and the number of frames that belong to each of them `[num_clusters]`.

    Raises:
        ValueError: if there are fewer frames than clusters.

    **Source:** faiss.Kmeans. Unlike the MiniBatchKMeans of GSLM it uses all frames in every iteration.
    """
    import faiss

    if len(frames) < num_clusters:
        raise data_error(
            "k-means",
            "every cluster needs a frame",
            expected=f"at least {num_clusters} training frames",
            got=f"{len(frames)}",
            remedy="use a smaller num_clusters in config/codebooks.tsv or more speech",
        )
    kmeans = faiss.Kmeans(
        frames.shape[1],
        num_clusters,
        niter=num_iterations,
        nredo=num_restarts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(frames),
    )
    kmeans.train(frames)
    _, nearest = kmeans.index.search(frames, 1)
    return kmeans.centroids, np.bincount(nearest[:, 0], minlength=num_clusters)


def fit_codebook(
    *,
    features,
    centroids,
    projection,
    config,
    encoder,
    layer,
    num_clusters,
    context_frames,
    num_components,
    max_frames_per_corpus,
    num_iterations,
    num_restarts,
    seed,
):
    """Stage: fit a codebook on the training split. See `CENTROIDS` and `PROJECTION`.

    Args:
        features: tables of `FEATURES`, all shards of all corpora of the codebook.
        centroids: table of `CENTROIDS` to write.
        projection: table of `PROJECTION` to write; without rows if `num_components` is 0.
        config: JSON file to write, with the name of the encoder, its layer and `context_frames`.
        encoder: name of the encoder that computed the features.
        layer: layer of the encoder.
        num_clusters: size of the codebook.
        context_frames: number of frames before and after each frame that k-means sees together with it.
        num_components: number of principal components that k-means sees; 0: no projection.
        max_frames_per_corpus: approximate number of frames to sample from each corpus; None: the features are those of a sample.
        num_iterations: number of k-means iterations in each restart.
        num_restarts: number of initializations, of which the best result is kept.
        seed: seed of the initializations.

    Raises:
        ValueError: if there are fewer training frames than clusters.
    """
    utterances = training_frames(features, max_frames_per_corpus)
    components = fit_projection(np.concatenate([with_context(frames, context_frames) for frames in utterances]), num_components)
    project = Projection(context_frames, components)
    frames = np.ascontiguousarray(np.concatenate([project(frames) for frames in utterances]))
    values, counts = fit_centroids(
        frames, num_clusters=num_clusters, num_iterations=num_iterations, num_restarts=num_restarts, seed=seed
    )
    print(f"{len(frames)} frames, {num_clusters} clusters, {np.count_nonzero(counts == 0)} of them empty")
    tables.write(projection, components or PROJECTION.empty_table(), PROJECTION)
    rows = [dict(unit=i, centroid=values[i], num_frames=counts[i]) for i in range(num_clusters)]
    tables.write(centroids, rows, CENTROIDS)
    save_config(config, dict(encoder=encoder, layer=layer, context_frames=context_frames))
