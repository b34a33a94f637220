"""One row an encoder: what it costs, what its features and units know, and how well a task on them goes."""

from speech2unit import tables
from speech2unit.files import read_json
from speech2unit.schemas import ENCODERS_SUMMARY, MEASUREMENTS, PROBE

NO_TASK = dict(task=None, accuracy=None, accuracy_low=None, accuracy_high=None, unit_lm=None)


def task_columns(report):
    """The columns about a task from the content of its acc.json."""
    return {name: report[name] for name in NO_TASK if name in report} | dict(unit_lm=report["names"]["ulm"])


def summarize_encoders(*, measurements, probes, acc, summary):
    """Stage: `acc` are reports of tasks, at most one on the units of each encoder. See `ENCODERS_SUMMARY`."""
    known = {row["encoder"]: row for row in tables.read_many(probes, PROBE).to_pylist()}
    reports = {report["names"]["encoder"]: task_columns(report) for report in map(read_json, acc)}
    costs = tables.read(measurements, MEASUREMENTS).to_pylist()
    rows = [row | known[row["encoder"]] | reports.get(row["encoder"], NO_TASK) for row in costs if row["encoder"] in known]
    tables.write(summary, rows, ENCODERS_SUMMARY)
