"""Units that are made at once are those of features on the disk, to the bit, for any number of shards and codebooks."""

import numpy as np
import pytest

from speech2unit.assign_units import assign_units
from speech2unit.collect_units import collect_units
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encode_shard import encode_shard
from speech2unit.extract_features import extract_features
from speech2unit.projection import fit_projection
from speech2unit.quantize import with_context
from speech2unit.schemas import CENTROIDS, ENCODED_UNITS, FEATURES, PROJECTION, UNITS
from storage import tables

CODEBOOKS = dict(plain=dict(context_frames=0, num_components=0), projected=dict(context_frames=2, num_components=6))
ENCODING = dict(layer=2, max_batch_seconds_cpu=0, max_batch_seconds_gpu=0)


@pytest.fixture(scope="module")
def two_stages(corpus, tmp_path_factory):
    """Folder with a manifest, two codebooks, and the units in each of them that are made from features on the disk."""
    root, rows = corpus
    folder = tmp_path_factory.mktemp("two_stages")
    tables.write(folder / "m.parquet", rows, MANIFEST)
    extract_features(**encoder_files(root, folder), features=folder / "f.parquet", shard=1, num_shards=1, **ENCODING)
    features = tables.read(folder / "f.parquet", FEATURES)
    frames = np.concatenate([values.values.to_numpy().reshape(-1, 16) for values in features["features"]])
    for name, sizes in CODEBOOKS.items():
        with_neighbours = with_context(frames, sizes["context_frames"])
        projection = fit_projection(with_neighbours, sizes["num_components"])
        dim = sizes["num_components"] or with_neighbours.shape[1]
        centroids = np.random.default_rng(len(name)).normal(size=(9, dim)).astype(np.float32)
        tables.write(folder / f"{name}_p.parquet", projection or PROJECTION.empty_table(), PROJECTION)
        tables.write(
            folder / f"{name}_c.parquet", [dict(unit=k, centroid=c, num_frames=1) for k, c in enumerate(centroids)], CENTROIDS
        )
        files = dict(
            centroids=folder / f"{name}_c.parquet", projection=folder / f"{name}_p.parquet", units=folder / f"{name}.parquet"
        )
        assign_units(features=[folder / "f.parquet"], **files, codebook=name, context_frames=sizes["context_frames"])
    return folder


def encoder_files(root, folder):
    files = dict(model=root / "encoder/model.safetensors", config=root / "encoder/config.json")
    return dict(manifest=folder / "m.parquet", root=root, **files)


def encoded(corpus, folder, out, names, num_shards):
    """Run the stage for all shards, and return their paths."""
    paths = [out / f"{shard}-of-{num_shards}.parquet" for shard in range(1, num_shards + 1)]
    for shard, path in enumerate(paths, 1):
        encode_shard(
            **encoder_files(corpus[0], folder),
            centroids=[folder / f"{name}_c.parquet" for name in names],
            projection=[folder / f"{name}_p.parquet" for name in names],
            encoded_units=path,
            codebooks=names,
            context_frames=[CODEBOOKS[name]["context_frames"] for name in names],
            shard=shard,
            num_shards=num_shards,
            **ENCODING,
        )
    return paths


@pytest.mark.parametrize(
    "names, num_shards", [(["projected"], 1), (["plain"], 3), (["projected", "plain"], 4), (["plain", "projected"], 12)]
)
def test_units_are_those_of_two_stages(corpus, two_stages, tmp_path, names, num_shards):
    paths = encoded(corpus, two_stages, tmp_path, names, num_shards)
    rows = [row for path in paths for row in tables.read(path, ENCODED_UNITS).to_pylist()]
    assert len(rows) == len(names) * len(corpus[1])
    for name in names:
        out = tmp_path / f"{name}.parquet"
        collect_units(encoded_units=paths[::-1], centroids=two_stages / f"{name}_c.parquet", units=out, codebook=name)
        expected = tables.read(two_stages / f"{name}.parquet", UNITS)
        assert tables.read(out, UNITS).equals(expected)
        assert len({unit for units in expected["units"].to_pylist() for unit in units}) > 3


def test_a_codebook_of_another_dimension_is_refused(corpus, two_stages, tmp_path):
    wrong = dict(plain_c=(two_stages / "projected_c.parquet"), plain_p=(two_stages / "plain_p.parquet"))
    tables.write(tmp_path / "m.parquet", corpus[1], MANIFEST)
    for name, path in wrong.items():
        (tmp_path / f"{name}.parquet").write_bytes(path.read_bytes())
    with pytest.raises(
        ValueError, match="features and centroids must have the same dimension; expected 6 values per frame, got 16"
    ):
        encoded(corpus, tmp_path, tmp_path, ["plain"], 1)
    assert not (tmp_path / "1-of-1.parquet").exists()
