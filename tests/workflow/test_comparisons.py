"""Which tasks say what an encoder is worth: seeds of the unit LM are repetitions, and all else makes tasks unlike."""

import copy
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from workflow.scripts import rows as config_rows
from workflow.scripts.comparisons import compared_encoders, confounders, encoder_tasks
from workflow.scripts.config_files import default_config

ROOT = Path(__file__).parents[2]
PARENT, CHILD = "melhubert_mixed", "melhubert_mixed_rows"


@pytest.fixture
def compared(monkeypatch):
    """(rows, config) of a parent and a child with two unit LMs each, as config/experiments/encoders/config.yaml has them."""
    monkeypatch.chdir(ROOT)
    config = default_config()
    update_config(config, yaml.safe_load((ROOT / "config/experiments/encoders/config.yaml").read_text()))
    rows = copy.deepcopy(config_rows.read_rows(config, ROOT / "workflow/schemas"))
    config |= dict(encoders=[PARENT, CHILD], tasks=["SCR_asc_rows", "SCR_asc_parent", "SCR_asc"])
    return rows, config


def test_tasks_that_differ_in_the_seed_of_their_unit_lm_repeat_the_first(compared):
    expected = {PARENT: ["SCR_asc_parent", "SCR_asc_parent_seed2"], CHILD: ["SCR_asc_rows", "SCR_asc_rows_seed2"]}
    assert encoder_tasks(*compared) == expected and confounders(*compared) == {CHILD: []}


def test_a_parent_that_is_not_named_stands_beside_its_child_all_the_same(compared):
    rows, config = compared
    config["encoders"] = [CHILD]
    assert compared_encoders(rows, config) == [CHILD, PARENT]
    assert len(encoder_tasks(rows, config)[PARENT]) == 2 and confounders(rows, config) == {CHILD: []}


def test_the_same_seed_again_is_no_repetition(compared):
    rows, config = compared
    for name in ("asc_melhubert_500_seed2", "asc_melhubert_rows_500_seed2"):
        rows["ulms"][name]["seed"] = "1"
    assert encoder_tasks(rows, config) == {PARENT: ["SCR_asc_parent"], CHILD: ["SCR_asc_rows"]}


@pytest.mark.parametrize("table, name, cell, value", [
    ("tasks", "SCR_asc_rows_seed2", "tuning", "prompt10"), ("ulms", "asc_melhubert_rows_500_seed2", "corpora", ["asc", "fsdd"]),
    ("ulms", "asc_melhubert_rows_500_seed2", "preset", "small_long"), ("tasks", "SCR_asc_rows_seed2", "seeds", ["1"]),
])  # fmt: skip
def test_a_task_that_differs_in_more_is_none_and_leaves_the_parent_with_other_seeds(compared, table, name, cell, value):
    rows, config = compared
    rows[table][name][cell] = value
    assert encoder_tasks(rows, config)[CHILD] == ["SCR_asc_rows"]
    assert confounders(rows, config) == {CHILD: ["seeds of the unit LMs"]}


@pytest.mark.parametrize("table, names, cell, value, expected", [
    ("tasks", ["SCR_asc_rows", "SCR_asc_rows_seed2"], "verbalizer", "random", ["tasks.verbalizer"]),
    ("codebooks", ["melhubert_mixed_rows_500"], "num_clusters", "100", ["codebooks.num_clusters"]),
    ("codebooks", ["melhubert_mixed_rows_500"], "layer", "1", []),
])  # fmt: skip
def test_tasks_are_held_against_the_parents_in_all_but_their_encoder(compared, table, names, cell, value, expected):
    rows, config = compared
    for name in names:
        rows[table][name][cell] = value
    assert confounders(rows, config) == {CHILD: expected}


def test_without_a_task_of_the_parent_there_is_nothing_to_hold_against(compared):
    rows, config = compared
    config["tasks"] = ["SCR_asc_rows_seed2"]
    assert encoder_tasks(rows, config) == {PARENT: [], CHILD: ["SCR_asc_rows_seed2"]} and confounders(rows, config) == {}
