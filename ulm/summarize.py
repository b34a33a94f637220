"""One row per finished task."""

from storage import tables
from storage.files import read_json
from ulm.schemas import SUMMARY


def summary_row(report):
    """Row of `SUMMARY` from the content of an acc.json."""
    names, row = report["names"], {name: report[name] for name in SUMMARY.names if name in report}
    for method, accuracy in report["baselines"].items():
        kind = method.partition("_")[0]  # majority, or ngram of either kind
        row |= {f"{kind}_accuracy": accuracy, f"{kind}_value": report["baseline_values"][method]["value"]}
    row |= {name: names[name] for name in ("corpus", "codebook", "ulm", "verbalizer", "tuning", "sampling")}
    return row | dict(num_seeds=len(report["seeds"]), examples_per_class=int(names["examples_per_class"] or 0))


def summarize(*, acc, summary):
    """Stage: `acc` are the JSON reports of the tasks. See `SUMMARY`."""
    tables.write(summary, [summary_row(read_json(path)) for path in acc], SUMMARY)
