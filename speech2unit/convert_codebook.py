"""A published k-means codebook in our tables: scikit-learn's km.bin of GSLM."""

from speech2unit.schemas import CENTROIDS, PROJECTION
from storage import tables
from storage.errors import data_error
from storage.untrusted.checkpoints import check_hashes, read_centroids


def convert_codebook(*, checkpoint, centroids, projection, sha256, num_clusters):
    """Stage: the centroids of a km.bin, and no projection. See `CENTROIDS` and `PROJECTION`."""
    check_hashes(checkpoint, sha256)
    values = read_centroids(checkpoint[0])
    if len(values) != num_clusters:
        raise data_error(
            checkpoint[0],
            "a codebook has as many clusters as its row says",
            expected=f"{num_clusters}",
            got=f"{len(values)}",
            remedy="correct num_clusters or checkpoint in config/codebooks.tsv",
        )
    tables.write(projection, PROJECTION.empty_table(), PROJECTION)
    tables.write(centroids, [dict(unit=i, centroid=value, num_frames=None) for i, value in enumerate(values)], CENTROIDS)
