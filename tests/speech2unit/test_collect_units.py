"""Collected units: those of one codebook, from all shards, in order of their names."""

from speech2unit.collect_units import collect_units
from speech2unit.schemas import CENTROIDS, ENCODED_UNITS, UNITS
from storage import tables


def test_units_of_one_codebook_are_collected_in_order(tmp_path):
    tables.write(tmp_path / "c.parquet", [dict(unit=k, centroid=[k], num_frames=5) for k in range(3)], CENTROIDS)
    names = ["u4", "u1", "u5", "u0", "u3"]
    shards = [tmp_path / "1.parquet", tmp_path / "2.parquet", tmp_path / "3.parquet"]
    for path, part in zip(shards, (names[:3], names[3:], [])):
        rows = [dict(utterance_id=name, split="dev", codebook="mine", units=[int(name[1]) % 3, 1]) for name in part]
        rows += [dict(utterance_id=name, split="dev", codebook="other", units=[2]) for name in part]
        tables.write(path, rows, ENCODED_UNITS)
    collect_units(encoded_units=shards, centroids=tmp_path / "c.parquet", units=tmp_path / "u.parquet", codebook="mine")
    expected = [dict(utterance_id=name, split="dev", codebook="mine", units=[int(name[1]) % 3, 1]) for name in sorted(names)]
    assert tables.read(tmp_path / "u.parquet", UNITS).to_pylist() == expected
