"""What k-means sees of a frame: its context, projected on the principal components of the training split.

Scaling by the fourth root of the variance lies between plain PCA (which the loudest components rule) and whitening
(which noise rules).
"""

import numpy as np

from speech2unit.schemas import PROJECTION
from storage import tables

SCALING_POWER = -0.25


def with_context(frames, context_frames):
    """Frames `[T, D]` → `[T, (2c + 1) · D]`: c frames before and after beside each; the edges repeat."""
    c = context_frames
    padded = np.pad(frames, ((c, c), (0, 0)), mode="edge")
    return np.concatenate([padded[i : i + len(frames)] for i in range(2 * c + 1)], axis=1)


def fit_projection(frames, num_components):
    """Rows of `PROJECTION` from frames with context `[N, D]`; none where `num_components` is 0 (frames stay as they are)."""
    if not num_components:
        return []
    mean = frames.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(frames, rowvar=False, dtype=np.float64))
    rows = []
    for component, i in enumerate(np.argsort(values)[::-1][:num_components]):
        vector = vectors[:, i] * np.sign(vectors[np.abs(vectors[:, i]).argmax(), i]) * max(values[i], 1e-10) ** SCALING_POWER
        rows.append(dict(component=component, vector=vector, offset=float(mean @ vector), variance=float(values[i])))
    return rows


class Projection:
    """Frames `[T, D]` → what k-means sees `[T, num_components]`."""

    def __init__(self, context_frames, rows):
        self.context_frames = context_frames
        self.matrix = np.stack([row["vector"] for row in rows], 1).astype(np.float32) if rows else None
        self.offset = np.array([row["offset"] for row in rows], np.float32)

    def __call__(self, frames):
        frames = with_context(frames, self.context_frames)
        return frames if self.matrix is None else frames @ self.matrix - self.offset


def load(path, context_frames):
    """The `Projection` of a codebook."""
    return Projection(context_frames, tables.read(path, PROJECTION).sort_by("component").to_pylist())
