"""The published HuBERT units of Google Speech Commands as rows of tokens, or random rows of the same lengths."""

from pathlib import Path

import numpy as np

from workflow.scripts.config_files import default_config

FILE = "units_gsc_hubert100/test.parquet"
FIRST_UNIT = 4  # token of unit 0; the tokens of the other units follow in numeric order
NUM_UNITS, NUM_LABELS = 100, 12


def token_rows():
    """Return pairs (tokens of the source, token of the label), and a text that says where they come from.

    The token of a label is the unit whose number is the position of the label in alphabetical order. Any mapping serves
    for timing.
    """
    root = Path(__file__).parents[2]
    path = root / default_config()["paths"]["data"] / FILE
    return (_published(path), "published") if path.exists() else (_random(), "random")


def _published(path):
    """Return the pairs of a file of published units."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["units", "label"]).to_pydict()
    rank = {label: i for i, label in enumerate(sorted(set(table["label"])))}
    return [(np.array(units) + FIRST_UNIT, FIRST_UNIT + rank[label]) for units, label in zip(table["units"], table["label"])]


def _random():
    """Return random pairs, whose sources are as long as the published ones."""
    rng = np.random.default_rng(0)
    lengths = rng.normal(26.5, 5.5, 3081).clip(9, 42).astype(int)  # distributed like those of the published rows
    return [(rng.integers(NUM_UNITS, size=length) + FIRST_UNIT, FIRST_UNIT + i % NUM_LABELS) for i, length in enumerate(lengths)]
