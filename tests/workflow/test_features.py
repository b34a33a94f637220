"""The setting `features`: the same units with and without features on the disk, alone and in sets of codebooks."""

import re

import pytest

from speech2unit import encode_units
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import CENTROIDS, PROJECTION, UNITS
from storage import tables

CONFIGS = ("tests/config/tiny.yaml", "none.yaml")
UNITS_OF = "results/units/{}/commands/units.parquet"


@pytest.fixture(scope="module")
def without_features(new_project):
    """A project with `features: none`, three shards, and a second codebook on the layer of melhubert_16."""
    made = new_project("without_features")
    rows = (made / "tests/config/codebooks.tsv").read_text()
    (made / "codebooks.tsv").write_text(rows + "melhubert_9\tmelhubert\t1\t9\t2\t5\tcommands\t\n")
    settings = ["features: none", "codebooks_together: [[melhubert_9, melhubert_16]]", "num_shards: 3"]
    (made / "none.yaml").write_text("\n".join([*settings, "tables: {codebooks: codebooks.tsv}"]) + "\n")
    return made


def test_tasks_with_folds_and_probes_can_be_planned(without_features):
    jobs = without_features.planned("results/SCR_divided/acc.json", configs=CONFIGS)
    assert jobs["encode_shard"] == 9 and jobs["collect_units"] == 3  # commands by both encoders, divided by one; folds by none
    assert jobs["sample_features"] == 2 and jobs["fit_codebook"] == 3 and jobs["fold_units"] == 2
    assert "extract_features" not in jobs and "assign_units" not in jobs
    jobs = without_features.planned("results/encoders/melhubert/probe.parquet", configs=CONFIGS)
    assert jobs["extract_features"] == 3 and jobs["encode_shard"] == 6 and "assign_units" not in jobs


def test_units_and_codebooks_are_those_that_features_on_the_disk_give(without_features, project):
    targets = [UNITS_OF.format("melhubert_16"), UNITS_OF.format("melhubert_9")]
    without_features.snakemake("--cores", 2, "--", *targets, configs=CONFIGS)
    for name in ("log_mel_12", "melhubert_16"):
        for file, schema in dict(centroids=CENTROIDS, projection=PROJECTION).items():
            path = f"results/units/{name}/{file}.parquet"
            assert tables.read(without_features / path, schema).equals(tables.read(project / path, schema))
        path = UNITS_OF.format(name)
        assert tables.read(without_features / path, UNITS).equals(tables.read(project / path, UNITS))
    features = [path.name for path in (without_features / "results/features").rglob("*.parquet")]
    assert features == ["sample.parquet"] * 2  # of the log-Mel frames and of the MelHuBERT
    shards = sorted((without_features / "results/units").glob("melhubert_*/commands/encoded_units/*.parquet"))
    assert [(path.parts[-4], path.stem) for path in shards] == [("melhubert_9", f"{i}-of-3") for i in (1, 2, 3)]
    output, _ = without_features.snakemake("--dry-run", "--", *targets, configs=CONFIGS)
    assert "Nothing to be done" in output


def test_units_of_a_codebook_that_shares_the_pass_are_those_of_python(without_features):
    rows = tables.read(without_features / "results/corpora/commands/manifest.parquet", MANIFEST).to_pylist()[::9]
    paths = [without_features / "results/corpora/commands/speech" / row["path"] for row in rows]
    stored = tables.read(without_features / UNITS_OF.format("melhubert_9"), UNITS).to_pylist()
    units_of = {row["utterance_id"]: row["units"] for row in stored}
    for row, result in zip(rows, encode_units(paths, without_features / "results/units/melhubert_9"), strict=True):
        assert result.frame_units.tolist() == units_of[row["utterance_id"]]


def test_features_that_a_stage_needs_are_made_for_it_and_deleted(without_features):
    without_features.snakemake("--cores", 2, "--", "results/encoders/melhubert/probe.parquet", configs=CONFIGS)
    assert (without_features / "results/encoders/melhubert/probe.parquet").exists()
    assert not list((without_features / "results/features").rglob("*-of-3.parquet"))
    without_features.snakemake("--cores", 1, "verify", configs=CONFIGS)
    assert ", 0 wrong\n" in (without_features / "logs/verify/verify.log").read_text()


@pytest.mark.parametrize("sets, error", [
    ("[[melhubert_16, melhubert_99]]", "'codebooks_together' must list rows of codebooks.tsv; expected one of .*, got 'melhubert_99'"),
    ("[[melhubert_16, log_mel_12]]", "must read the same layer of the same encoder; .* got log_mel, layer 0; melhubert, layer 1"),
    ("[[melhubert_16, melhubert_9], [melhubert_9, melhubert_16]]", "a codebook must be in one set; .* got 'melhubert_16' in two sets"),
])  # fmt: skip
def test_a_set_of_codebooks_reads_one_layer(without_features, sets, error, tmp_path):
    (tmp_path / "sets.yaml").write_text(f"codebooks_together: {sets}\n")
    output, status = without_features.snakemake("--dry-run", configs=(*CONFIGS, tmp_path / "sets.yaml"), check=False)
    assert status != 0
    assert re.search(f"config.codebooks_together: .*{error}", output), output


def test_the_former_key_names_the_new_one(without_features, tmp_path):
    (tmp_path / "old.yaml").write_text("keep_features: false\n")
    output, status = without_features.snakemake(
        "--dry-run", configs=("tests/config/tiny.yaml", tmp_path / "old.yaml"), check=False
    )
    assert status != 0 and "config.keep_features: the key has been renamed; expected 'features', got 'keep_features'" in output
