"""Contracts: every table that the pipeline leaves opens with pandas alone and is what its schema says."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from storage import tables
from workflow.scripts.stage_code import PACKAGES

TRUNK = {
    "manifest", "rejected", "features", "centroids", "projection", "units", "reduced_units", "training", "vocabulary",
    "lm_dataset", "verbalizer", "verbalized", "binarized", "baselines", "samples", "confusion", "summary",
}  # fmt: skip


def test_every_schema_says_what_it_holds(schemas):
    assert set(schemas) >= TRUNK
    for name, schema in schemas.items():
        description = tables.describe(schema)
        assert description.name == name and description.stage
        assert set(description.key) <= {column.name for column in description.columns}
        for column in description.columns:
            assert len(column.meaning) > 3 and column.type, (name, column)
            assert column.nullable == ("null" in column.meaning), (name, column)


def test_every_table_of_the_pipeline_opens_and_matches_its_schema(project, table_name, open_every_table):
    found = open_every_table(project / "results")
    assert {table_name(path.relative_to(project / "results")) for path in found} >= TRUNK
    assert all(table.num_rows for path, table in found.items() if path.stem != "rejected")


def test_every_table_tells_where_it_comes_from(project):
    for path in (project / "results").rglob("*.parquet"):
        metadata = pq.read_metadata(path).metadata
        about = json.loads(metadata[b"provenance"])
        assert len(metadata[b"digest"]) == 64
        assert about["stage"].split(".")[0] in PACKAGES
        assert {"python", "pyarrow", "torch"} <= set(about["versions"])
        assert about["stage"] in {job["stage"] for job in about["history"].values()}, path


def test_a_table_of_another_stage_under_a_name_is_refused(project, open_every_table, tmp_path):
    shutil.copy(project / "results/SCR/lm_dataset.parquet", tmp_path / "verbalized.parquet")
    with pytest.raises(
        ValueError,
        match=r"verbalized\.parquet: table 'verbalized' must have the columns of its schema; .* --forcerun apply_verbalizer",
    ):
        open_every_table(tmp_path)


def test_a_table_that_has_no_schema_is_refused(project, open_every_table, tmp_path):
    shutil.copy(project / "results/SCR/lm_dataset.parquet", tmp_path / "anything.parquet")
    with pytest.raises(AssertionError, match="is named after no table"):
        open_every_table(tmp_path)
