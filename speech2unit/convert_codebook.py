"""Convert a published k-means codebook, the km.bin of GSLM that scikit-learn saved, into our tables."""

from speech2unit.schemas import CENTROIDS, PROJECTION
from storage import tables
from storage.errors import data_error
from storage.untrusted.checkpoints import check_hashes, read_centroids
from storage.weights import save_config


def convert_codebook(*, checkpoint, centroids, projection, config, sha256, encoder, layer, num_clusters):
    """Stage: write the centroids of a km.bin and an empty projection. See `CENTROIDS` and `PROJECTION`.

    Args:
        checkpoint: list of one file, the km.bin.
        centroids: table of `CENTROIDS` to write.
        projection: table of `PROJECTION` to write, without rows.
        config: JSON file to write, the same as that of `fit_codebook`.
        sha256: list with the expected SHA-256 of the file; `-` accepts any.
        encoder: name of the encoder that the codebook belongs to.
        layer: layer of the encoder.
        num_clusters: expected size of the codebook.

    Raises:
        ValueError: if the file has another hash, or another number of clusters.
    """
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
    save_config(config, dict(encoder=encoder, layer=layer, context_frames=0))
