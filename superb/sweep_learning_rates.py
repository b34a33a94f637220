"""How much a result hangs on the learning rate: a task trained at several, the best chosen by the dev split."""

import numpy as np

from storage import tables
from storage.errors import notice
from storage.files import read_json
from superb.schemas import SWEEP


def sweep_rows(reports, factors):
    """Rows of `SWEEP` from the reports of a task at each factor of its learning rates."""
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
    """Stage: `scores` are the reports of the task's runs, one for each of `factors` (text). See `SWEEP`."""
    rows = sweep_rows([read_json(path) for path in scores], [float(factor) for factor in factors])
    tables.write(sweep, rows, SWEEP)
    best = next(row for row in rows if row["best"])
    notice(f"{sweep}: best on dev {best['learning_rate']:g}, {best['factor']:g} of the preset's")
