"""One row per finished task, from its acc.json."""

from storage import tables
from storage.files import read_json
from ulm.schemas import SUMMARY


def summary_row(report):
    """Return a row of `SUMMARY` from the content of an acc.json."""
    names = report["names"]
    row = {name: report[name] for name in SUMMARY.names if name in report}
    row |= {name: names[name] for name in ("corpus", "codebook", "ulm", "verbalizer", "tuning", "sampling")}
    row["num_seeds"] = len(report["seeds"])
    row["examples_per_class"] = int(names["examples_per_class"] or 0)
    for method, accuracy in report["baselines"].items():
        kind, _, _ = method.partition("_")  # majority, or ngram of ngram_svm and ngram_nearest
        row[f"{kind}_accuracy"] = accuracy
        row[f"{kind}_value"] = report["baseline_values"][method]["value"]
    return row


def summarize(*, acc, summary):
    """Stage: write one row per task. See `SUMMARY`.

    Args:
        acc: JSON reports of the tasks.
        summary: table of `SUMMARY` to write.
    """
    tables.write(summary, [summary_row(read_json(path)) for path in acc], SUMMARY)
