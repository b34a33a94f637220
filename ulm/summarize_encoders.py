"""One row an encoder: what it costs, what its features and units know, and how well a task on them goes."""

from evaluation.metrics import wilson_interval
from speech2unit.schemas import MEASUREMENTS, PROBE
from storage import tables
from storage.errors import notice
from storage.files import read_json
from ulm.compare_tasks import answers_by_seed, difference, system
from ulm.schemas import ENCODERS_SUMMARY, TASK_COLUMNS

NO_TASK = {field.name: None if field.nullable else [] for field in TASK_COLUMNS}


def systems_of(acc, samples, **bootstrap):
    """Encoder → (reports of its tasks, the tasks as one `System`: their mean)."""
    found = {}
    for report, path in zip(map(read_json, acc), samples, strict=True):
        reports, frames = found.setdefault(report["names"]["encoder"], ([], []))
        reports.append(report)
        frames += answers_by_seed(path)
    return {name: (reports, system(name, "accuracy", frames, **bootstrap)) for name, (reports, frames) in found.items()}


def task_columns(reports, tasks, parent):
    """`TASK_COLUMNS` of an encoder. `tasks`: the `System` of its tasks; `parent`: that of its parent's, or `None`."""
    low, high = wilson_interval(tasks.value * len(tasks.asked), len(tasks.asked))
    told = dict(
        tasks=[report["task"] for report in reports],
        unit_lms=[report["names"]["ulm"] for report in reports],
        accuracies=[report["accuracy"] for report in reports],
        accuracy=tasks.value,
        accuracy_low=low,
        accuracy_high=high,
    )
    if parent and parent.asked == tasks.asked:
        told |= {name: value for name, value in difference(tasks, parent).items() if name in NO_TASK}
    return NO_TASK | told


def summarize_encoders(*, measurements, probes, acc, samples, summary, confounders, num_resamples, seed):
    """Stage: `acc` and `samples` are of tasks on the encoders' units, in the same order: of an encoder none, or one and those
    that repeat it with another seed of the unit LM. See `ENCODERS_SUMMARY`.

    confounders: encoder → in what else than units its tasks differ from those of its parent; then they are not compared.
    """
    known = {row["encoder"]: row for row in tables.read_many(probes, PROBE).to_pylist()}
    systems = systems_of(acc, samples, num_resamples=num_resamples, seed=seed)
    rows = []
    for costs in tables.read(measurements, MEASUREMENTS).to_pylist():
        encoder, parent = costs["encoder"], costs["parent"]
        if differing := confounders.get(encoder):
            notice(f"{encoder}: no difference from {parent}, as their tasks differ in {', '.join(differing)} too")
        _, beside = systems.get(None if differing else parent, (None, None))
        if encoder in known:
            rows.append(costs | known[encoder] | (task_columns(*systems[encoder], beside) if encoder in systems else NO_TASK))
    tables.write(summary, rows, ENCODERS_SUMMARY)
