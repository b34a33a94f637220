"""A codebook of 100 clusters on 200,000 frames of 768 values: our k-means against GSLM's, with the inertia of both.

The frames are synthetic. They belong to sounds whose frequencies follow Zipf's law and which overlap in 40 dimensions. These are
projected to 768 dimensions, and noise is added.
"""

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.side_by_side import compare
from speech2unit.fit_codebook import fit_centroids

NUM_FRAMES, DIM, NUM_CLUSTERS = 200_000, 768, 100
OURS = dict(num_iterations=25, num_restarts=1, seed=1)  # as in config/config.yaml
# The defaults of fairseq, examples/textless_nlp/gslm/speech2unit/clustering/cluster_kmeans.py.
GSLM = dict(
    init="k-means++",
    max_iter=150,
    batch_size=10_000,
    tol=0.0,
    max_no_improvement=100,
    n_init=20,
    reassignment_ratio=0.5,
    random_state=1369,
    compute_labels=True,
    init_size=None,
)


def synthetic_frames(num_frames, dim, seed, num_sounds=400, rank=40):
    """Return synthetic frames `[num_frames, dim]`, float32.

    Args:
        num_frames: number of frames.
        dim: number of values per frame.
        seed: seed of the random numbers.
        num_sounds: number of different sounds.
        rank: number of dimensions in which the sounds overlap.
    """
    rng = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, num_sounds + 1)
    sounds = rng.choice(num_sounds, num_frames, p=frequency / frequency.sum())
    centres = 2 * rng.standard_normal((num_sounds, rank))
    hidden = centres[sounds] + rng.standard_normal((num_frames, rank))
    projection = rng.standard_normal((rank, dim)) / np.sqrt(np.arange(1, rank + 1))[:, None]
    return (hidden @ projection + 0.5 * rng.standard_normal((num_frames, dim))).astype(np.float32)


def inertia(x, centroids):
    """Return the mean squared distance of frames to their nearest centroid."""
    import faiss

    index = faiss.IndexFlatL2(x.shape[1])
    index.add(np.ascontiguousarray(centroids, np.float32))
    return float(index.search(x, 1)[0].mean())


def main():
    """Run the benchmark, and check that our inertia is not worse than the peer's."""
    x = synthetic_frames(NUM_FRAMES, DIM, seed=0)

    def check(ours, peer):
        figures = dict(inertia=inertia(x, ours[0]), peer_inertia=inertia(x, peer.cluster_centers_))
        if figures["inertia"] > figures["peer_inertia"]:
            raise ValueError(f"kmeans: our inertia must not be worse than the peer's; {figures}")
        return figures

    compare(
        "kmeans",
        lambda: fit_centroids(x, num_clusters=NUM_CLUSTERS, **OURS),
        lambda: MiniBatchKMeans(n_clusters=NUM_CLUSTERS, **GSLM).fit(x),
        what="100 clusters of 200,000 × 768 frames; peer: scikit-learn's MiniBatchKMeans with GSLM's settings",
        unit="s",
        runs=3,
        peer_runs=1,
        aim=40,
        check=check,
    )


if __name__ == "__main__":
    main()
