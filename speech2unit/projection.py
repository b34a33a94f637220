"""The input of k-means: a frame with its context, projected on the principal components of the training split.

Every component is scaled so that its standard deviation becomes the fourth root of its original variance. This is a compromise
between plain PCA, in which the components with the largest variance dominate, and whitening, in which noise dominates.
"""

import numpy as np

from speech2unit.quantize import Projection
from speech2unit.schemas import PROJECTION
from storage import tables

SCALING_POWER = -0.25
MIN_VARIANCE = 1e-10


def fit_projection(frames, num_components):
    """Fit a projection.

    Args:
        frames: frames with context `[N, D]`.
        num_components: number of principal components; 0: no projection.

    Returns:
        Rows of `PROJECTION`, one per component.
    """
    if not num_components:
        return []
    mean = frames.mean(0, dtype=np.float64)
    variances, axes = np.linalg.eigh(np.cov(frames, rowvar=False, dtype=np.float64))
    rows = []
    for component, i in enumerate(np.argsort(variances)[::-1][:num_components]):
        axis = axes[:, i] * np.sign(axes[np.abs(axes[:, i]).argmax(), i])  # its largest weight is positive
        vector = axis * max(variances[i], MIN_VARIANCE) ** SCALING_POWER
        rows.append(dict(component=component, vector=vector, offset=float(mean @ vector), variance=float(variances[i])))
    return rows


def load(path, context_frames):
    """Return the `Projection` of a codebook.

    Args:
        path: table of `PROJECTION`.
        context_frames: number of frames before and after each frame.
    """
    return Projection(context_frames, tables.read(path, PROJECTION).sort_by("component").to_pylist())
