"""One row per encoder: its costs, the quality of its features and units, and the accuracy of a task on its units."""

from evaluation.intervals import wilson_interval
from speech2unit.schemas import MEASUREMENTS, PROBE
from storage import tables
from storage.errors import notice
from storage.files import read_json
from ulm.compare_tasks import difference, samples_by_seed, system
from ulm.schemas import ENCODERS_SUMMARY, TASK_COLUMNS

NO_TASK = {field.name: None if field.nullable else [] for field in TASK_COLUMNS}


def encoder_systems(acc, samples, **bootstrap):
    """Return a dict from each encoder to a pair: the reports of its tasks, and a `System` that is the mean over them.

    Args:
        acc: JSON reports of tasks.
        samples: tables of `SAMPLES` of the same tasks in the same order.
        bootstrap: `num_resamples` and `seed` of `resample`.
    """
    reports_of = {}
    frames_of = {}
    for report, path in zip(map(read_json, acc), samples, strict=True):
        encoder = report["names"]["encoder"]
        reports_of.setdefault(encoder, []).append(report)
        frames_of.setdefault(encoder, []).extend(samples_by_seed(path))
    systems = {encoder: system(encoder, ["accuracy"], frames, **bootstrap) for encoder, frames in frames_of.items()}
    return {encoder: (reports_of[encoder], systems[encoder]) for encoder in systems}


def task_columns(reports, tasks, parent_tasks):
    """Return the `TASK_COLUMNS` of an encoder.

    Args:
        reports: reports of its tasks.
        tasks: `System` of its tasks.
        parent_tasks: `System` of the tasks of its parent, or None. The two are compared only if they have the same test rows.
    """
    num_rows = len(tasks.test_rows)
    accuracy = tasks.values["accuracy"]
    low, high = wilson_interval(accuracy * num_rows, num_rows)
    columns = NO_TASK | dict(
        tasks=[report["task"] for report in reports],
        unit_lms=[report["names"]["ulm"] for report in reports],
        accuracies=[report["accuracy"] for report in reports],
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
    )
    if parent_tasks is not None and parent_tasks.test_rows == tasks.test_rows:
        compared = difference(tasks, parent_tasks, "accuracy")
        columns |= {name: compared[name] for name in ("difference", "difference_low", "difference_high")}
    return columns


def summarize_encoders(*, measurements, probes, acc, samples, summary, confounders, num_resamples, seed):
    """Stage: write one row per encoder. See `ENCODERS_SUMMARY`.

    Args:
        measurements: table of `MEASUREMENTS` of the encoders and of their parents.
        probes: tables of `PROBE`, one per encoder. Encoders without one get no row.
        acc: JSON reports of the tasks on the encoders' units. The tasks of an encoder differ only in the seed of the unit LM.
        samples: tables of `SAMPLES` of the same tasks in the same order.
        summary: table of `ENCODERS_SUMMARY` to write.
        confounders: dict from an encoder to the settings, other than the units, in which its tasks differ from those of its
            parent. An encoder with such settings is not compared with its parent.
        num_resamples, seed: number of resamples and seed of the bootstrap.
    """
    probe_of = {row["encoder"]: row for row in tables.read_many(probes, PROBE).to_pylist()}
    systems = encoder_systems(acc, samples, num_resamples=num_resamples, seed=seed)
    rows = []
    for costs in tables.read(measurements, MEASUREMENTS).to_pylist():
        encoder = costs["encoder"]
        parent = costs["parent"]
        parent_tasks = None
        if differing := confounders.get(encoder):
            notice(f"{encoder}: not compared with {parent}, because their tasks also differ in {', '.join(differing)}")
        elif parent in systems:
            _, parent_tasks = systems[parent]
        if encoder not in probe_of:
            continue
        columns = task_columns(*systems[encoder], parent_tasks) if encoder in systems else NO_TASK
        rows.append(costs | probe_of[encoder] | columns)
    tables.write(summary, rows, ENCODERS_SUMMARY)
