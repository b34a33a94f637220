"""SUPERB tasks in the DAG: from the encoder to the table of results, once; what runs again; a run that is killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from storage import tables
from superb.schemas import SUPERB_SUMMARY
from tests.workflow.bundle_checks import check_superb_bundle

SET = "results/comparisons/KS_weighted_sum+KS_half_deep_prompt10"
TARGETS = ("--", f"{SET}/superb_summary.parquet", f"{SET}/plots/methods.svg")
PROMPTED = "KS_half_deep_prompt10"
TINY = ("tests/config/tiny.yaml",)


@pytest.fixture(scope="module")
def superb(pristine, new_project):
    """A copy of the project that has run, in which the tasks of the table of results have run as well."""
    made = new_project("superb")
    pristine.copy_results_to(made)
    made.snakemake("--cores", 2, *TARGETS)
    return made


def report_of(project, task):
    """A score.json without what differs from run to run."""
    report = json.loads((project / f"results/superb/{task}/score.json").read_text())
    return {name: value for name, value in report.items() if name not in ("usage", "provenance")}


def test_a_report_says_what_was_trained_on_what(superb):
    plain, prompted = report_of(superb, "KS_weighted_sum"), report_of(superb, "KS_half_deep_prompt10")
    assert plain["metric"] == "accuracy" and plain["num_rows"] == 16 and plain["seeds"] == [1, 2]
    assert plain["baselines"] == dict(majority=0.25) and 0 <= plain["value_low"] <= plain["value"] <= plain["value_high"] <= 1
    head = 2 + (16 + 1) * 16 + (16 + 1) * 4
    assert (plain["trained_parameters"], plain["encoder_parameters"]) == (head, 0)
    assert (prompted["trained_parameters"], prompted["encoder_parameters"]) == (head + 2 * 10 * 16, 2 * 10 * 16)
    assert plain["num_train_rows"] == 2 * prompted["num_train_rows"] == 48
    assert (
        prompted["settings"]["tuning"]["method"] == "deep_prompt"
        and prompted["settings"]["optimization"]["learning_rate"] == 0.002
    )
    usage = json.loads((superb / "results/superb/KS_weighted_sum/score.json").read_text())["usage"]
    assert usage["superb.extract_hidden_states"]["jobs"] == 2 and usage["superb.tune_encoder"]["jobs"] == 1


def test_the_table_of_results_has_a_row_a_task_and_seed(superb):
    rows = tables.read(superb / f"{SET}/superb_summary.parquet", SUPERB_SUMMARY).to_pylist()
    assert [(row["superb_task"], row["seed"], row["fraction"]) for row in rows] == [
        ("KS_weighted_sum", 1, 1.0), ("KS_weighted_sum", 2, 1.0), ("KS_half_deep_prompt10", 1, 0.5), ("KS_half_deep_prompt10", 2, 0.5)
    ]  # fmt: skip
    assert [row["value"] for row in rows[:2]] == list(report_of(superb, "KS_weighted_sum")["value_by_seed"].values())


def test_tables_open_and_match_their_schemas(superb, open_every_table):
    found = {path.relative_to(superb / "results") for path in open_every_table(superb / "results")}
    stems = {path.stem for path in found if path.parts[0] == "superb"}
    assert stems == {"dataset", "classes", "training", "predictions"}
    assert len([path for path in found if path.parts[0] == "hidden_states"]) == 2


def test_a_bundle_answers_as_predictions_parquet_says(superb):
    superb.snakemake("--cores", 1, f"results/superb/{PROMPTED}/bundle")
    check_superb_bundle(superb, PROMPTED)


def test_a_second_run_has_nothing_to_do(superb):
    output, _ = superb.snakemake("--cores", 2, *TARGETS)
    assert "Nothing to be done" in output


def test_what_a_changed_setting_and_a_sweep_run(superb):
    (superb / "rate.yaml").write_text("tune_encoder:\n  deep_prompt10:\n    encoder_learning_rate: 0.005\n")
    jobs = superb.planned(*TARGETS, configs=(*TINY, "rate.yaml"))
    assert jobs == dict(tune_encoder=1, predict=1, score_superb=1, summarize_superb=1, plot_superb=1)
    jobs = superb.planned("--", "results/superb/KS_half_deep_prompt10/plots/sweep.svg")
    assert jobs == dict(tune_encoder=1, predict=1, score_superb=1, sweep_learning_rates=1, plot_sweep=1)
    (superb / "cache.yaml").write_text("cache_hidden_states: false\n")
    jobs = superb.planned("--forceall", *TARGETS, configs=(*TINY, "cache.yaml"))
    assert "extract_hidden_states" not in jobs and jobs["tune_encoder"] == 2


def test_a_run_that_is_killed_and_resumed_gives_the_same_scores(superb):
    before, folder = report_of(superb, "KS_half_deep_prompt10"), superb / "results/superb/KS_half_deep_prompt10"
    log = superb / "logs/tune_encoder/KS_half_deep_prompt10.log"
    gone = [
        folder / name for name in ("tuned.safetensors", "training.parquet", "sizes.json", "predictions.parquet", "score.json")
    ]
    for path in (*gone, log, superb / f"{SET}/superb_summary.parquet"):
        path.unlink()
    call = [sys.executable, "-m", "snakemake", "--configfile", *TINY, "--cores", "1", *TARGETS]
    run = subprocess.Popen(
        call, cwd=superb.folder, env=os.environ | dict(OMP_NUM_THREADS="1"), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not log.exists() and run.poll() is None:
        time.sleep(0.1)
    assert run.poll() is None
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (folder / "tuned.safetensors").exists() and not (folder / "score.json").exists()
    superb.snakemake("--unlock", *TARGETS)
    superb.snakemake("--cores", 2, "--rerun-incomplete", *TARGETS)
    assert report_of(superb, "KS_half_deep_prompt10") == before
