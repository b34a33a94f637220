"""Each set of tasks has a folder of its own."""

from types import SimpleNamespace

import pytest

from workflow.scripts.lookups.comparisons import MAX_CHARACTERS, compared_tasks, comparison_files, comparison_folder
from workflow.scripts.row_tables import Table

CONFIG = dict(tasks=["A", "B"], comparisons=dict(both=["B", "A"]))


@pytest.fixture
def rows():
    table = Table("tasks", ["tasks.tsv"])
    for name, written_name in (("A", "A"), ("A_seed2", "A"), ("B", "B")):
        table.add(name, {}, "tasks.tsv", written_name)
    return dict(tasks=table)


def test_the_folder_names_the_tasks_or_is_named_in_the_config(rows):
    assert comparison_folder(CONFIG, "tasks") == "A+B"
    assert comparison_folder(CONFIG | dict(tasks=["B", "A"]), "tasks") == "both"
    assert compared_tasks(rows, CONFIG, "A+B") == ["A", "A_seed2", "B"]
    assert compared_tasks(rows, CONFIG, "A_seed2") == ["A_seed2"]
    assert compared_tasks(rows, CONFIG, "both") == ["B", "A", "A_seed2"]
    files = comparison_files(rows, CONFIG, SimpleNamespace(comparison="both"), "acc.json")
    assert files == ["results/B/acc.json", "results/A/acc.json", "results/A_seed2/acc.json"]


def test_names_that_are_too_long_for_a_folder_need_a_name_together():
    tasks = [f"task{number}" for number in range(60)]
    with pytest.raises(ValueError, match=f"more than {MAX_CHARACTERS} characters .* got 60 tasks, .* comparisons: {{NAME: "):
        comparison_folder(dict(tasks=tasks, comparisons={}), "tasks")
    assert comparison_folder(dict(encoders=tasks, comparisons=dict(many=tasks)), "encoders") == "many"
