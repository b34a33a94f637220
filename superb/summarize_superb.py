"""Summarize SUPERB tasks: one row per task and seed."""

from storage import tables
from storage.files import read_json
from superb.schemas import SUPERB_SUMMARY


def summary_rows(report):
    """Return the rows of `SUPERB_SUMMARY`, one per seed, from the content of a score.json."""
    common = {name: report[name] for name in SUPERB_SUMMARY.names if name in report} | report["names"]
    common |= dict(
        mean=report["value"],
        deviation=report["value_std"],
        low=report["value_low"],
        high=report["value_high"],
    )
    dev_values = report["dev"]["value_by_seed"]
    return [
        common | dict(seed=int(seed), value=value, dev_value=dev_values[seed]) for seed, value in report["value_by_seed"].items()
    ]


def summarize_superb(*, scores, summary):
    """Stage: write one table from the reports of several tasks.

    Args:
        scores: JSON reports that `score_superb` wrote.
        summary: table of `SUPERB_SUMMARY` to write.
    """
    tables.write(summary, [row for path in scores for row in summary_rows(read_json(path))], SUPERB_SUMMARY)
