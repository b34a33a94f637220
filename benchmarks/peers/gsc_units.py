"""The published HuBERT units of Google Speech Commands as token rows, or rows of the same lengths drawn at random."""

from pathlib import Path

import numpy as np

from workflow.scripts.config_files import default_config

FILE = "units_gsc_hubert100/test.parquet"
FIRST_UNIT = 4  # index of unit 0 in the vocabulary; these units are in numeric order
NUM_UNITS, NUM_LABELS = 100, 12


def token_rows():
    """List of (source tokens, index of the label's token), and where they are from.

    A label is said by the unit of its rank in the alphabet: any map will do for timing.
    """
    root = Path(__file__).parents[2]
    path = root / default_config()["paths"]["data"] / FILE
    return (_published(path), "published") if path.exists() else (_random(), "random")


def _published(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["units", "label"]).to_pydict()
    rank = {label: i for i, label in enumerate(sorted(set(table["label"])))}
    return [(np.array(units) + FIRST_UNIT, FIRST_UNIT + rank[label]) for units, label in zip(table["units"], table["label"])]


def _random():
    rng = np.random.default_rng(0)
    lengths = rng.normal(26.5, 5.5, 3081).clip(9, 42).astype(int)  # as those of the published rows
    return [(rng.integers(NUM_UNITS, size=n) + FIRST_UNIT, FIRST_UNIT + i % NUM_LABELS) for i, n in enumerate(lengths)]
