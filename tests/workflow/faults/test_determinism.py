"""The same results twice, on any number of cores and shards, from rows in any order, in other places of the world."""

import random

import pytest

from tests.workflow.faults.runs import ALL, content, contents

RUNS = {  # cores, shards, whether the corpus's rows are shuffled, environment
    "twice": (2, 4, False, {}),
    "one core, one shard": (1, 1, False, dict(PYTHONHASHSEED="1", LC_ALL="C", TZ="Asia/Kathmandu")),
    "eight cores, three shards, shuffled": (8, 3, True, dict(PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="America/St_Johns")),
    "eight shards, shuffled": (2, 8, True, dict(PYTHONHASHSEED="3", LC_ALL="POSIX", TZ="UTC")),
}
CHANGES = {"twice": 1, "one core, one shard": 5, "eight cores, three shards, shuffled": 6, "eight shards, shuffled": 5}
METADATA = "results/corpora/commands/speech/metadata.csv"


def compared(folder):
    """What results say, but for shards (there are others), figures of times, and the metadata (its rows are shuffled)."""
    found = contents(folder)
    return {name: said for name, said in found.items() if "/features/" not in name and name != METADATA}


@pytest.mark.skipif(not ALL, reason="only in make faults; tests/workflow/test_end_to_end.py has one such run")
@pytest.mark.parametrize("name", RUNS)
def test_results_are_the_same(project, new_project, name, record_property):
    cores, shards, shuffled, environment = RUNS[name]
    other = new_project("other")
    (other / "shards.yaml").write_text(f"num_shards: {shards}\n")
    how = dict(configs=("tests/config/tiny.yaml", "shards.yaml"), **environment)
    if shuffled:
        other.snakemake("--cores", cores, "--", METADATA, **how)
        header, *rows = (other / METADATA).read_text().splitlines()
        random.Random(shards).shuffle(rows)
        (other / METADATA).write_text("\n".join([header, *rows]) + "\n")
    other.snakemake("--cores", cores, "--", "results/SCR/acc.json", "results/comparisons/SCR/summary.parquet", **how)
    expected, found = compared(project.folder), compared(other.folder)
    wanted = [path for path in found if path in expected]
    wrong = [path for path in wanted if found[path] != expected[path]]
    record_property("injected", CHANGES[name])
    record_property("recovered", 0 if wrong else CHANGES[name])
    assert not wrong and len(wanted) == len(found) >= 40
    assert content(other / "results/SCR/acc.json") == content(project / "results/SCR/acc.json")
