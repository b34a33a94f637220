"""Verbalizers: which units stand for a label.

A method is a function that puts the units of the codebook in order. `label_map` then gives the most frequent label the first
unit, the second label the second unit, and so on. To add a method, write a function with these arguments and add it to
`METHODS`. Its key there is the name to write in the column `verbalizer` of config/tasks.tsv. For example, this method prefers
rare units:

    def rare(unit_counts, num_units, seed):
        return freq(unit_counts, num_units, seed)[::-1]

Args of a method:
    unit_counts: `Counter` of the units in the training split, in the order of their first appearance, such as
        `Counter({17: 120, 4: 35})`. Units that do not occur are missing.
    num_units: number of units K of the codebook (or of pieces, for a unit LM that reads pieces).
    seed: whole number from the config, for methods that draw at random.

What it returns:
    A list of all units 0 … K-1 as `int`, each once, the preferred ones first, such as `[17, 4, 0, 1, …]`. The same arguments
    must give the same list.

A method that needs the unit LM is a stage of its own, see `ulm.cluster_verbalizer`.
"""

from collections import Counter
from itertools import product

import numpy as np

from storage.errors import data_error


def freq(unit_counts, num_units, seed):
    """Order the units by their counts. Ties keep the order of first appearance; units that never occur come last.

    **Source:** SpeechPrompt, arXiv 2203.16773, section 3.2 (frequency mapping).
    """
    frequent = [unit for unit, _ in unit_counts.most_common()]
    return frequent + [unit for unit in range(num_units) if unit not in unit_counts]


def random(unit_counts, num_units, seed):
    """Order the units at random. (SpeechPrompt instead draws each unit independently, so that labels may share one.)"""
    return np.random.default_rng(seed).permutation(num_units).tolist()


METHODS = dict(
    freq=freq,
    random=random,
    learnable=freq,  # then a linear map of the logits is trained with the prompt, see `ulm.tuned.LinearVerbalizer`
)


def label_map(label_counts, units):
    """Pair the labels, the most frequent first, with units. Ties keep the order of first appearance.

    If there are more labels than units, each label gets a sequence of units. All sequences have the same length, which is as
    short as possible: with 1251 labels and 100 units, they are `[17, 17]`, `[17, 4]` and so on.

    Args:
        label_counts: `Counter` of the labels in the training split.
        units: all units, the preferred ones first, as a method returns them.

    Returns:
        A dict from each label to its units, which no other label has: `{"yes": [17], "no": [4]}`.

    Raises:
        ValueError: if there are several labels but only one unit.
    """
    if len(units) == 1 < len(label_counts):
        raise data_error(
            "verbalizer",
            "labels must differ in units",
            expected="two units or more",
            got=f"1 for {len(label_counts)} labels",
            remedy="use a codebook with more clusters",
        )
    length = 1
    while len(units) ** length < len(label_counts):
        length += 1
    sequences = product(units, repeat=length)
    return {label: list(sequence) for (label, _), sequence in zip(label_counts.most_common(), sequences)}


def counts(rows):
    """Return `Counter`s of the labels and of the units in rows of `LM_DATASET`, in the order of their first appearance."""
    label_counts = Counter()
    unit_counts = Counter()
    for row in rows:
        label_counts.update(row["labels"])
        unit_counts.update(row["units"])
    return label_counts, unit_counts
