"""Units: the nearest centroid of every frame."""

import numpy as np
import pyarrow as pa

from speech2unit.projection import load
from speech2unit.schemas import CENTROIDS, FEATURES, UNITS
from storage import tables
from storage.errors import data_error


def nearest_centroids(frames, centroids):
    """Indices `[T]` of the centroids `[K, dim]` nearest to frames `[T, dim]`: argmin of |c|² − 2 x·c (|x|² cancels)."""
    if frames.shape[1] != centroids.shape[1]:
        raise data_error(
            "units",
            "features and centroids must have one size",
            expected=f"{centroids.shape[1]} values a frame",
            got=f"{frames.shape[1]}",
            remedy="fit the codebook on the same encoder and layer",
        )
    distances = (centroids**2).sum(1) - 2 * frames @ centroids.T
    return distances.argmin(1)


def centroid_matrix(path):
    """Centroids `[K, dim]` in order of their units."""
    table = tables.read(path, CENTROIDS).sort_by("unit")
    return np.stack(table["centroid"].to_numpy(zero_copy_only=False))


def assign_units(*, features, centroids, projection, units, codebook, context_frames):
    """Stage: units of every utterance, one a frame, in order of utterance_id however many shards there are. See `UNITS`."""
    matrix, project = centroid_matrix(centroids), load(projection, context_frames)
    parts = [_units(batch, matrix, project, codebook) for path in features for batch in tables.stream(path, FEATURES)]
    tables.write(units, pa.concat_tables([UNITS.empty_table(), *parts]).sort_by("utterance_id"), UNITS)


def _units(batch, matrix, project, codebook):
    """Part of `UNITS` for a record batch of `FEATURES`."""
    frames = [f.values.to_numpy().reshape(n.as_py(), -1) for f, n in zip(batch["features"], batch["num_frames"])]
    found = [nearest_centroids(project(f), matrix) for f in frames]
    names = {name: batch[name] for name in ("utterance_id", "split")}
    return pa.table(names | dict(codebook=[codebook] * len(found), units=found), schema=UNITS)
