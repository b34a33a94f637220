"""Collected units: those of one codebook, from all shards, in order of their names."""

from speech2unit import assign_units
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


def test_no_utterances_give_an_empty_table(tmp_path):
    tables.write(tmp_path / "c.parquet", [dict(unit=0, centroid=[0.0], num_frames=5)], CENTROIDS)
    tables.write(tmp_path / "1.parquet", [], ENCODED_UNITS)
    collect_units(
        encoded_units=[tmp_path / "1.parquet"], centroids=tmp_path / "c.parquet", units=tmp_path / "u.parquet", codebook="mine"
    )
    assert tables.read(tmp_path / "u.parquet", UNITS).num_rows == 0


def test_more_rows_than_are_sorted_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assign_units, "ROWS_IN_MEMORY", 7)
    tables.write(tmp_path / "c.parquet", [dict(unit=k, centroid=[k], num_frames=5) for k in range(9)], CENTROIDS)
    rows = [dict(utterance_id=f"u{i * 37 % 50:02d}", split="dev", codebook="mine", units=[i % 2] * 3) for i in range(50)]
    tables.write(tmp_path / "1.parquet", rows, ENCODED_UNITS)
    collect_units(
        encoded_units=[tmp_path / "1.parquet"], centroids=tmp_path / "c.parquet", units=tmp_path / "u.parquet", codebook="mine"
    )
    expected = sorted(rows, key=lambda row: row["utterance_id"])
    assert tables.read(tmp_path / "u.parquet", UNITS).to_pylist() == expected
    assert "its units are as varied as 2 equally frequent ones, where the training speech had 9" in capsys.readouterr().out
