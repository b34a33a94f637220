"""One row per finished task."""

from speech2unit import tables
from speech2unit.files import read_json
from ulm.schemas import SUMMARY


def summary_row(report):
    """Row of `SUMMARY` from the content of an acc.json."""
    names = report["names"]
    same = {name: report[name] for name in SUMMARY.names if name in report}
    baselines = dict(majority_accuracy=report["baselines"]["majority"], ngram_accuracy=report["baselines"]["ngram_svm"])
    return same | baselines | dict(num_seeds=len(report["seeds"]), **{k: names[k] for k in ("corpus", "codebook", "ulm")})


def summarize(*, acc, summary):
    """Stage: `acc` are the JSON reports of the tasks. See `SUMMARY`."""
    tables.write(summary, [summary_row(read_json(path)) for path in acc], SUMMARY)
