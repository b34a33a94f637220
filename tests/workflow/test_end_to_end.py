"""The whole DAG on tiny synthetic speech: from no file at all to acc.json, and what runs again after a change."""

import json

import numpy as np
import pandas
import pytest
import soundfile

from speech2unit import encode_units
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from speech2unit.schemas import REDUCED_UNITS, UNITS
from storage import tables
from ulm.schemas import CONFUSION, SAMPLES, SUMMARY

TARGETS = ("--", "results/SCR/acc.json", "results/comparisons/SCR/summary.parquet")
SAME = (
    "manifest", "centroids", "units", "reduced_units", "verbalizer", "verbalized", "binarized", "baselines", "samples", "confusion",
)  # fmt: skip


@pytest.fixture(scope="module")
def report(project):
    return json.loads((project / "results/SCR/acc.json").read_text())


def results_of(report):
    """A report without what differs from run to run: seconds and memory."""
    return {name: value for name, value in report.items() if name not in ("usage", "provenance")}


def test_acc_json(project, report):
    assert report["task"] == "SCR" and report["metric"] == "accuracy"
    assert report["num_rows"] == report["dev"]["num_rows"] == 16  # 2 speakers × 4 classes × 2 clips
    assert 0 <= report["accuracy_low"] <= report["accuracy"] <= report["accuracy_high"] <= 1
    assert list(report["accuracy_by_seed"]) == ["1", "2"] and report["seeds"] == [1, 2]
    assert report["accuracy"] == pytest.approx(np.mean(list(report["accuracy_by_seed"].values())))
    assert 0 <= report["free_accuracy"] <= report["accuracy"] + 1e-9 and 0 <= report["num_illegal"] <= 16
    assert set(report["baselines"]) == {"majority", "ngram_svm"} and report["baselines"]["majority"] == 0.25
    assert set(report["per_class"]) == {"left", "stop", "unknown", "silence"}
    assert report["trained_parameters"] == (2 * 2 * 2 + 1) * 32
    assert report["total_parameters"] == report["trained_parameters"] + 17_792
    assert report["names"] == dict(
        corpus="commands",
        codebook="melhubert_16",
        ulm="tiny",
        verbalizer="freq",
        tuning="prompt5_target",
        encoder="melhubert",
        examples_per_class="",
        sampling="greedy",
    )
    assert report["updates"] == 20


def test_acc_json_names_every_stage_that_it_depends_on(report):
    stages = (
        "synthesize_commands make_manifest fit_log_mel extract_features fit_codebook assign_units pretrain_melhubert reduce_units"
    )
    found = {stage.split(".")[-1] for stage in report["usage"]}
    assert found >= set(stages.split()[1:]) | {"pretrain_ulm", "binarize", "tune_prompt", "sample", "fit_baselines"}
    assert all(
        0 < part["seconds"] < 600 and part["jobs"] >= 1 and part["peak_memory_mb"] > 50 for part in report["usage"].values()
    )
    assert report["provenance"]["settings"]["task"] == "SCR"


def test_accuracy_is_that_of_the_samples(project, report):
    samples = tables.read(project / "results/SCR/samples.parquet", SAMPLES).to_pandas().query("split == 'test'")
    right = [list(t) == list(p) for t, p in zip(samples.labels, samples.predicted_labels)]
    assert len(right) == 32 and report["accuracy"] == pytest.approx(np.mean(right))
    counts = tables.read(project / "results/SCR/confusion.parquet", CONFUSION).to_pandas()
    assert counts["count"].sum() == 32 and counts[counts.label == counts.predicted_label]["count"].sum() == sum(right)
    row = tables.read(project / "results/comparisons/SCR/summary.parquet", SUMMARY).to_pylist()
    assert [(r["task"], r["accuracy"]) for r in row] == [("SCR", report["accuracy"])]


def test_units_are_one_a_frame_of_the_codebook(project):
    units = tables.read(project / "results/units/melhubert_16/commands/units.parquet", UNITS).to_pylist()
    assert len(units) == 80 and all(len(row["units"]) == 49 for row in units)  # 1 s: 98 frames of 10 ms, in pairs
    found = {u for row in units for u in row["units"]}
    assert found <= set(range(16)) and len(found) > 4


def test_python_gives_the_units_of_the_tables(project):
    manifest = tables.read(project / "results/corpora/commands/manifest.parquet", MANIFEST).to_pylist()
    codebook = project / "results/units/melhubert_16"
    stored = {
        row["utterance_id"]: row for row in tables.read(codebook / "commands/reduced_units.parquet", REDUCED_UNITS).to_pylist()
    }
    rows = manifest[::8]
    paths = [project / "results/corpora/commands/speech" / row["path"] for row in rows]
    for row, result in zip(rows, encode_units(paths, codebook), strict=True):
        expected = stored[row["utterance_id"]]
        assert (result.units.tolist(), result.durations.tolist()) == (expected["units"], expected["durations"])


def test_no_temporary_file_is_left(project):
    hidden = {path.name for path in (project / "results").rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")}
    assert hidden <= {".snakemake_timestamp"}


def test_a_second_run_has_nothing_to_do(project):
    output, _ = project.snakemake("--cores", 2, *TARGETS)
    assert "Nothing to be done" in output


def test_what_was_made_is_verified(project):
    project.snakemake("--cores", 1, "verify")
    assert ", 0 wrong\n" in (project / "logs/verify/verify.log").read_text()


def test_outputs_of_a_finished_task_that_a_killed_run_deleted_are_wrong_and_made_again(project):
    gone = {name: project / f"results/SCR/{name}" for name in ("prompt.safetensors", "confusion.parquet")}
    for name, path in gone.items():
        path.rename(project / name)
    try:
        output, status = project.snakemake("--cores", 1, "verify", check=False)
        jobs = project.planned("results/SCR/acc.json", "missing")
    finally:
        for name, path in gone.items():
            (project / name).rename(path)
    assert status != 0 and "2 wrong ones" in output
    assert "--forcerun tune_prompt results/SCR/prompt.safetensors" in output
    assert "--forcerun score results/SCR/confusion.parquet" in output  # of which nothing was made
    assert jobs == dict(missing=1, tune_prompt=1, sample=1, score=1)


def test_a_changed_setting_reruns_what_follows(project):
    (project / "ngram.yaml").write_text("fit_baselines:\n  max_ngram: 3\n")
    jobs = project.planned(*TARGETS, configs=("tests/config/tiny.yaml", "ngram.yaml"))
    assert jobs == dict(fit_baselines=1, score=1, summarize=1)


def test_a_cell_of_one_corpus_reruns_nothing_of_another(project):
    corpora = (project / "tests/config/corpora.tsv").read_text()
    lines = [
        f"{line.removesuffix(chr(9) * 3)}\tspeaker\t0.5\t" if line.startswith("large") else line for line in corpora.splitlines()
    ]
    assert lines != corpora.splitlines()
    (project / "corpora.tsv").write_text("\n".join(lines) + "\n")
    (project / "corpora.yaml").write_text("tables:\n  corpora: corpora.tsv\n")
    assert project.planned(*TARGETS, configs=("tests/config/tiny.yaml", "corpora.yaml")) == {}


def test_a_changed_codebook_reruns_what_follows(project):
    (project / "codebook.yaml").write_text("fit_codebook:\n  num_iterations: 6\n")
    jobs = project.planned(*TARGETS, configs=("tests/config/tiny.yaml", "codebook.yaml"))
    assert not set(jobs) & {"synthesize_commands", "make_manifest", "fit_log_mel"}
    assert jobs["fit_codebook"] == jobs["assign_units"] == 2 and jobs["pretrain_melhubert"] == jobs["tune_prompt"] == 1
    assert jobs["extract_features"] == 2  # those of the MelHuBERT; the log-Mel features stay


@pytest.mark.parametrize("file, old, new, rules", [
    ("ulm/score.py", 'NO_LABEL = "∅"', 'NO_LABEL = "-"', {"score", "summarize"}),
    ("ulm/summarize.py", 'row["num_seeds"] = len(', 'row["num_seeds"] = 0 + len(', {"summarize"}),
    ("ulm/score.py", "NO_LABEL =", "# a comment\nNO_LABEL =", set()),
    ("ulm/schemas.py", '"""Schemas of the tables that the stages of this package write."""', '"""Schemas of tables."""', set()),
])  # fmt: skip
def test_an_edit_reruns_what_follows_and_a_comment_does_not(project, file, old, new, rules):
    project.edit(file, old, new)
    try:
        assert set(project.planned(*TARGETS)) == rules
    finally:
        project.edit(file, new, old)


def test_what_was_deleted_is_made_again_the_same(project, report):
    before = tables.read(project / "results/SCR/confusion.parquet", CONFUSION)
    for name in ("acc.json", "confusion.parquet", "samples.parquet"):
        (project / "results/SCR" / name).unlink()
    project.snakemake("--cores", 2, *TARGETS)
    assert tables.read(project / "results/SCR/confusion.parquet", CONFUSION).equals(before)
    assert results_of(json.loads((project / "results/SCR/acc.json").read_text())) == results_of(report)


def test_one_core_one_shard_another_folder_and_locale_give_the_same(project, report, new_project, open_every_table):
    other = new_project("an other ' folder")
    (other / "shards.yaml").write_text("num_shards: 1\n")
    configs = ("tests/config/tiny.yaml", "shards.yaml")
    other.snakemake("--cores", 1, *TARGETS, configs=configs, PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="C")
    assert list((other / "results").rglob("1-of-1.parquet")) and not list((other / "results").rglob("*-of-2.parquet"))
    one, two = (
        {p.relative_to(made / "results"): t for p, t in open_every_table(made / "results").items()} for made in (project, other)
    )
    names = [path for path in one if path.stem in SAME]
    assert {path.stem for path in names} == set(SAME)
    assert [path for path in names if not one[path].equals(two[path])] == []
    assert results_of(json.loads((other / "results/SCR/acc.json").read_text())) == results_of(report)


@pytest.fixture(scope="module")
def bad(project):
    """A corpus of 24 files in the project, 4 of them unusable."""
    folder, rng, rows = project / "bad_audio", np.random.default_rng(0), []
    folder.mkdir()
    for i in range(24):
        split = ("train", "train", "dev", "test")[i // 6]
        rows.append(dict(path=f"{i:02d}.wav", split=split, speaker=f"{split}{i}", label="ab"[i % 2]))
        soundfile.write(folder / f"{i:02d}.wav", rng.normal(size=4000) * 0.1, 16_000)
    (folder / "00.wav").write_bytes(b"")
    (folder / "01.wav").write_bytes((folder / "02.wav").read_bytes()[:4000])
    soundfile.write(folder / "03.wav", np.zeros(4000), 16_000)
    (folder / "04.wav").unlink()
    pandas.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    return {"00.wav": "not_audio", "01.wav": "truncated", "03.wav": "silent", "04.wav": "missing"}


def test_bad_audio_stops_the_run_with_a_table_of_reasons(project, bad):
    output, status = project.snakemake("--cores", 1, "results/corpora/bad/manifest.parquet", check=False)
    assert status != 0
    assert "most of a corpus must be usable; expected at most 1.00% of the files rejected, got 4 of 24 (16.67%)" in output
    assert all(f"{reason:12}       1  {path}" in output for path, reason in bad.items())
    assert output.endswith("(log: logs/make_manifest/bad.log)\n")  # below Snakemake's own lines
    assert not list((project / "results/corpora").glob("bad/*"))
    kept = tables.read(project / "logs/make_manifest/bad/rejected.parquet", REJECTED).to_pylist()
    assert {row["path"]: row["reason"] for row in kept} == bad and "logs/make_manifest/bad/rejected.parquet lists all" in output


def test_bad_audio_within_the_limit_is_listed_and_the_rest_used(project, bad):
    (project / "reject.yaml").write_text("make_manifest:\n  max_reject_fraction: 0.2\n")
    configs = ("tests/config/tiny.yaml", "reject.yaml")
    project.snakemake("--cores", 1, "results/corpora/bad/manifest.parquet", configs=configs)
    rows = tables.read(project / "results/corpora/bad/rejected.parquet", REJECTED).to_pylist()
    assert {row["path"]: row["reason"] for row in rows} == bad
    assert len(pandas.read_parquet(project / "results/corpora/bad/manifest.parquet")) == 20 + 8  # and 8 copies at 0.9
