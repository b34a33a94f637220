"""Look-ups of predictions: which corpora a task can label, and how their labels become those of the task."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.scripts.config_files import default_config
from workflow.scripts.lookups.predictions import (
    labelling_settings,
    listed_files,
    prediction_score_settings,
    prediction_shards,
    trained_tasks,
)
from workflow.scripts.lookups.registries import superb_modules, task_modules, trained_modules
from workflow.scripts.result_paths import unknown_name, unknown_paths
from workflow.scripts.rows import read_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config():
    return default_config()


@pytest.fixture(scope="module")
def rows(config):
    return read_rows(config, ROOT / "workflow/schemas")


def job(trained_task, corpus, shard="2-of-3"):
    return SimpleNamespace(trained_task=trained_task, corpus=corpus, shard=shard)


def test_a_task_labels_a_corpus_with_its_label_column(rows, config):
    settings = labelling_settings(rows, config, job("SCR_asc", "commands"))
    assert (settings["shard"], settings["num_shards"]) == (2, 3) and settings["root"] == rows["corpora"]["commands"]["root"]
    assert settings["references"] == dict(columns=["label"], corpus_columns=["label"], kind="", lexicon="")
    score = prediction_score_settings(rows, config, job("SCR_asc", "commands"))
    assert (score["task"], score["corpus"], score["metrics"], score["kind"]) == ("SCR_asc", "commands", ["accuracy"], "")
    assert score["num_resamples"] == config["score"]["num_resamples"]


def test_a_corpus_without_the_column_has_no_references_and_cannot_be_scored(rows, config):
    task = job("DSR_fsdd", "commands")
    assert labelling_settings(rows, config, task)["references"]["columns"] == []
    message = r"config/corpora.tsv, row 'commands': a corpus on which DSR_fsdd is scored must have the label columns of the task"
    with pytest.raises(ValueError, match=rf"{message}; .* or make the predictions alone"):
        prediction_score_settings(rows, config, task)


def test_superb_tasks_have_kinds_and_the_metrics_of_superb(rows, config):
    task = job("superb/KS_asc_weighted_sum", "commands")
    assert labelling_settings(rows, config, task)["references"]["kind"] == "KS"
    score = prediction_score_settings(rows, config, task)
    assert (score["task"], score["kind"], score["metrics"]) == ("KS_asc_weighted_sum", "KS", [])


@pytest.mark.parametrize("trained_task, corpus, message", [
    ("SCR", "gsc_units", "SCR labels what it was trained on; expected audio, got units of the codebook"),
    ("superb/KS_asc_full", "gsc_units", "KS_asc_full labels what it was trained on; expected audio"),
    ("SCR_gsc_units", "commands", "SCR_gsc_units labels what it was trained on; expected units of the codebook .*, got audio"),
])  # fmt: skip
def test_audio_and_units_do_not_mix(rows, config, trained_task, corpus, message):
    with pytest.raises(ValueError, match=message):
        listed_files(rows, config, job(trained_task, corpus))


def test_a_task_on_published_units_labels_the_same_units(rows, config):
    assert listed_files(rows, config, job("SCR_gsc_units", "gsc_units")) == "results/corpora/gsc_units/files.parquet"
    assert labelling_settings(rows, config, job("SCR_gsc_units", "gsc_units"))["references"]["columns"] == ["label"]


def test_shards_and_architectures(rows, config):
    assert prediction_shards(rows, config | dict(num_shards=2), job("superb/KS_asc_full", "asc")) == [
        f"results/superb/KS_asc_full/predictions/asc/{number}-of-2.parquet" for number in (1, 2)
    ]
    task = trained_modules(rows, config, job("SCR_asc_hubert100", "asc"))
    assert task == task_modules(rows, config, SimpleNamespace(task="SCR_asc_hubert100")) != []
    superb = trained_modules(rows, config, job("superb/KS_asc_full", "asc"))
    assert superb == superb_modules(rows, config, SimpleNamespace(superb_task="KS_asc_full")) != []


def test_trained_tasks_are_the_rows_of_both_tables(rows):
    pattern = re.compile(trained_tasks(rows))
    assert all(pattern.fullmatch(name) for name in ("SCR", "superb/KS_asc_full"))
    assert not any(pattern.fullmatch(name) for name in ("KS_asc_full", "superb/SCR", "superb/KS_asc"))


@pytest.mark.parametrize("path, got", [
    ("SCR/predictions/comands.parquet", "comands"), ("SCR/predictions/comands/1-of-2.parquet", "comands"),
    ("superb/KS_asc_full/predictions/nothing.json", "nothing"), ("SRC/predictions/commands.parquet", "SRC"),
    ("superb/KS/predictions/commands.parquet", "KS"),
])  # fmt: skip
def test_an_unknown_name_is_pointed_out(rows, config, path, got):
    assert re.fullmatch(unknown_paths(rows, config), path) and f"got '{got}'" in str(unknown_name(path, rows, config))


@pytest.mark.parametrize("path", [
    "SCR/predictions/commands.parquet", "SCR/predictions/commands.json", "SCR/predictions/commands/1-of-2.parquet",
    "superb/KS_asc_full/predictions/commands.parquet", "superb/KS_asc_full/predictions.parquet",
])  # fmt: skip
def test_valid_names_are_left_to_their_rules(rows, config, path):
    assert not re.fullmatch(unknown_paths(rows, config), path)
