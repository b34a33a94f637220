"""K-means codebook over encoder frames of the training split, with their context and projected."""

import zlib
from pathlib import Path

import numpy as np

from speech2unit.projection import Projection, fit_projection, with_context
from speech2unit.schemas import CENTROIDS, FEATURES, PROJECTION
from storage import tables
from storage.errors import data_error


def is_sampled(utterance_id, fraction):
    """Whether an utterance is among the `fraction` to fit on: by its name alone, whatever the order or the shards."""
    return zlib.crc32(utterance_id.encode()) < fraction * 2**32


def training_frames(paths, max_frames_per_corpus):
    """Frames `[T, dim]` of training utterances as recorded, those of a corpus (a folder of `paths`) in order of utterance_id."""
    corpora = {}
    for path in paths:
        corpora.setdefault(Path(path).parent, []).append(path)
    frames = [part for folder in sorted(corpora) for part in _corpus_frames(corpora[folder], max_frames_per_corpus)]
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
    lengths = tables.read_many(paths, FEATURES, ["split", "speed", "num_frames"]).to_pandas()
    recorded = (lengths.split == "train") & (lengths.speed == 1)
    fraction, found = max_frames / max(int(lengths.num_frames[recorded].sum()), 1), {}
    for path in paths:
        for batch in tables.stream(path, FEATURES):
            for name, split, speed, num_frames, values in zip(*batch.columns):
                if split.as_py() == "train" and speed.as_py() == 1 and is_sampled(name.as_py(), fraction):
                    found[name.as_py()] = values.values.to_numpy().reshape(num_frames.as_py(), -1)
    return [found[name] for name in sorted(found)]


def fit_centroids(frames, *, num_clusters, num_iterations, num_restarts, seed):
    """Centroids `[num_clusters, dim]` and the number of frames nearest to each; Lloyd's algorithm, best of the restarts.

    Source: faiss.Kmeans; unlike GSLM's MiniBatchKMeans it sees all frames at every iteration.
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
    num_clusters,
    context_frames,
    num_components,
    max_frames_per_corpus,
    num_iterations,
    num_restarts,
    seed,
):
    """Stage: k-means over the frames of the training split in all shards. See `CENTROIDS` and `PROJECTION`."""
    utterances = training_frames(features, max_frames_per_corpus)
    rows = fit_projection(np.concatenate([with_context(frames, context_frames) for frames in utterances]), num_components)
    project = Projection(context_frames, rows)
    frames = np.ascontiguousarray(np.concatenate([project(frames) for frames in utterances]))
    values, counts = fit_centroids(
        frames, num_clusters=num_clusters, num_iterations=num_iterations, num_restarts=num_restarts, seed=seed
    )
    print(f"{len(frames)} frames, {num_clusters} clusters, {np.count_nonzero(counts == 0)} of them empty")
    tables.write(projection, rows or PROJECTION.empty_table(), PROJECTION)
    tables.write(centroids, [dict(unit=i, centroid=values[i], num_frames=counts[i]) for i in range(num_clusters)], CENTROIDS)
