"""The units of a fold are those of the whole corpus, with the splits of the fold."""

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.fold_units import fold_units
from speech2unit.schemas import UNITS
from storage import tables
from tests.factories import manifest_row


def test_units_stay_and_splits_are_those_of_the_fold(tmp_path):
    whole = [dict(utterance_id=f"{i}", split="train", codebook="k", units=[i, i]) for i in range(3000)]
    manifest = [manifest_row(f"{i}", split=("train", "dev", "test")[i % 3]) for i in range(0, 3000, 2)]
    tables.write(tmp_path / "whole.parquet", whole, UNITS)
    tables.write(tmp_path / "manifest.parquet", manifest, MANIFEST)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("whole", "manifest", "units")}
    fold_units(**paths)
    expected = [whole[int(row["utterance_id"])] | dict(split=row["split"]) for row in manifest]
    assert tables.read(paths["units"], UNITS).to_pylist() == expected
