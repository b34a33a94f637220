"""One row per encoder, with the tasks on its units if there are any."""

import numpy as np
import pytest

from evaluation.intervals import wilson_interval
from speech2unit.schemas import MEASUREMENTS, PROBE
from storage import tables
from storage.files import write_json
from ulm.schemas import ENCODERS_SUMMARY, SAMPLES
from ulm.summarize_encoders import NO_TASK, summarize_encoders

ROWS = 100


def costs(encoder, parent=None):
    return dict(
        encoder=encoder, parent=parent, architecture="melhubert", parameters=10, density=1.0, multiply_adds=2e6, real_time_factor=0.01,
        speedup=1.0, memory_mb=20.0, file_size_mb=1.5,
    )  # fmt: skip


def probe(encoder):
    return dict(
        encoder=encoder, corpus="c", codebook=f"{encoder}_5", layer=1, probe_accuracy=0.5, num_test_rows=9, purity=0.3, pnmi=0.2,
        agreement=0.9,
    )  # fmt: skip


def write_task(folder, task, encoder, right, prefix="u"):
    """Write the files of a task with two seeds. Both get the first `right` test rows right, and no dev row."""
    (folder / task).mkdir()
    write_json(folder / task / "acc.json", dict(task=task, accuracy=right / ROWS, names=dict(encoder=encoder, ulm=f"lm_{task}")))
    common = dict(labels=["a"], score=-1.0, free_units=["5"], free_labels=None)
    test_rows = [("test", i, i < right) for i in range(ROWS)] + [("dev", ROWS, False)]
    samples = [
        common | dict(seed=seed, utterance_id=f"{prefix}{i:03}", split=split, predicted_labels=["a" if is_right else "b"])
        for seed in (1, 2)
        for split, i, is_right in reversed(test_rows)
    ]
    tables.write(folder / task / "samples.parquet", samples, SAMPLES)


def summarize(folder, encoders, tasks, confounders=()):
    """Return the summary of encoders (name → parent), in the order of their measurements."""
    tables.write(folder / "m.parquet", [costs(*item) for item in encoders.items()], MEASUREMENTS)
    for name in encoders:
        tables.write(folder / f"{name}.parquet", [probe(name)], PROBE)
    probed = [name for name in encoders if not name.startswith("only")]
    summarize_encoders(
        measurements=folder / "m.parquet", probes=[folder / f"{name}.parquet" for name in reversed(probed)],
        acc=[folder / task / "acc.json" for task in tasks], samples=[folder / task / "samples.parquet" for task in tasks],
        summary=folder / "summary.parquet", confounders=dict(confounders), num_resamples=500, seed=1,
    )  # fmt: skip
    return tables.read(folder / "summary.parquet", ENCODERS_SUMMARY).to_pylist()


def test_rows_are_joined_by_the_encoders_name(tmp_path):
    write_task(tmp_path, "SCR_b", "b", 80)
    a, b = summarize(tmp_path, {"a": None, "b": "a", "only_a_parent": None}, ["SCR_b"])
    assert a == costs("a") | probe("a") | NO_TASK
    assert a["tasks"] == [] and a["accuracy"] is None
    low, high = wilson_interval(80, ROWS)
    columns = dict(tasks=["SCR_b"], unit_lms=["lm_SCR_b"], accuracies=[0.8], accuracy=0.8, accuracy_low=low, accuracy_high=high)
    assert b == costs("b", "a") | probe("b") | NO_TASK | columns


@pytest.mark.slow
def test_tasks_that_differ_in_the_seed_of_their_unit_lm_count_as_their_mean(tmp_path):
    rights = dict(parent=90, parent_2=80, child=70, child_2=72)
    for task, right in rights.items():
        write_task(tmp_path, task, task.removesuffix("_2"), right)
    parent, child = summarize(tmp_path, {"parent": None, "child": "parent"}, ["child", "parent", "child_2", "parent_2"])
    assert (parent["tasks"], parent["accuracies"]) == (["parent", "parent_2"], [0.9, 0.8])
    assert parent["accuracy"] == pytest.approx(0.85) and parent["difference"] is None
    assert (child["unit_lms"], child["accuracies"]) == (["lm_child", "lm_child_2"], [0.7, 0.72])
    assert (child["accuracy_low"], child["accuracy_high"]) == pytest.approx(wilson_interval(71, ROWS))
    assert child["difference"] == pytest.approx(-0.14)
    ways = np.array([[i < right for i in range(ROWS)] for right in rights.values()], float)
    spread = (
        1.96 * np.std(ways[2:].mean(0) - ways[:2].mean(0)) / np.sqrt(ROWS)
    )  # paired; with independent samples it would be .12
    assert child["difference_high"] - child["difference_low"] == pytest.approx(2 * spread, rel=0.15)
    assert child["difference_low"] < -0.14 < child["difference_high"]


def test_tasks_on_other_utterances_are_not_compared(tmp_path):
    write_task(tmp_path, "one", "parent", 90)
    write_task(tmp_path, "two", "child", 80, prefix="v")
    _, child = summarize(tmp_path, {"parent": None, "child": "parent"}, ["one", "two"])
    assert child["accuracy"] == pytest.approx(0.8) and child["difference"] is None and child["difference_low"] is None


def test_tasks_that_differ_in_more_than_units_are_not_compared_and_a_notice_says_so(tmp_path, capsys):
    for name, right in dict(parent=90, child=80, like=70).items():
        write_task(tmp_path, name, name, right)
    parents = {"parent": None, "child": "parent", "like": "parent"}
    unlike = dict(child=["tasks.tuning", "seeds of the unit LMs"], like=[])
    _, child, like = summarize(tmp_path, parents, list(parents), unlike)
    assert child["accuracy"] == pytest.approx(0.8) and child["difference"] is None
    assert like["difference"] == pytest.approx(-0.2)
    assert (
        capsys.readouterr().out
        == "child: not compared with parent, because their tasks also differ in tasks.tuning, seeds of the unit LMs\n"
    )
