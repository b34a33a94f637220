"""One row per finished SUPERB task and seed."""

from storage import tables
from storage.files import read_json
from superb.schemas import SUPERB_SUMMARY


def summary_rows(report):
    """Rows of `SUPERB_SUMMARY`, one a seed, from the content of a score.json."""
    row = {name: report[name] for name in SUPERB_SUMMARY.names if name in report} | report["names"]
    row |= dict(mean=report["value"], deviation=report["value_std"], low=report["value_low"], high=report["value_high"])
    by_seed = report["dev"]["value_by_seed"]
    return [row | dict(seed=int(s), value=v, dev_value=by_seed[s]) for s, v in report["value_by_seed"].items()]


def summarize_superb(*, scores, summary):
    """Stage: `scores` are the JSON reports of the tasks. See `SUPERB_SUMMARY`."""
    tables.write(summary, [row for path in scores for row in summary_rows(read_json(path))], SUPERB_SUMMARY)
