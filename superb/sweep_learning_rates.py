"""Compare runs of one task with several learning rates; the dev split chooses the best."""

import numpy as np

from storage import tables
from storage.errors import notice
from storage.files import read_json
from superb.schemas import SWEEP


def sweep_rows(reports, factors):
    """Return the rows of `SWEEP`.

    Args:
        reports: content of the score.json of each run.
        factors: factor of the learning rates in each run, in the same order.
    """
    sign = 1 if reports[0]["higher_is_better"] else -1
    best = int(np.argmax([sign * report["dev"]["value"] for report in reports]))
    return [
        dict(
            factor=factor,
            learning_rate=report["settings"]["optimization"]["learning_rate"],
            seed=int(seed),
            metric=report["metric"],
            dev_value=report["dev"]["value_by_seed"][seed],
            value=value,
            best=number == best,
        )
        for number, (factor, report) in enumerate(zip(factors, reports, strict=True))
        for seed, value in report["value_by_seed"].items()
    ]


def sweep_learning_rates(*, scores, sweep, factors):
    """Stage: write one table from the score.json of each run. See `SWEEP`.

    Args:
        scores: JSON reports that `score_superb` wrote, one per factor.
        sweep: table of `SWEEP` to write.
        factors: factor of the learning rates in each run, as text, such as `0.3`.
    """
    rows = sweep_rows([read_json(path) for path in scores], [float(factor) for factor in factors])
    tables.write(sweep, rows, SWEEP)
    best = next(row for row in rows if row["best"])
    notice(f"{sweep}: the best learning rate on dev is {best['learning_rate']:g}, {best['factor']:g} times the preset's")
