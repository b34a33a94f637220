"""Verbalizers: how labels are said in units. A method puts the units in order and is an entry of `METHODS`."""

from collections import Counter
from itertools import product

import numpy as np

from storage.errors import data_error


def freq(unit_counts, num_units, seed):
    """Units by count, ties by first appearance, those that never occur last.

    `unit_counts`: `Counter` in order of first appearance over the training split.
    **Source:** SpeechPrompt, arXiv 2203.16773, section 3.2 (frequency mapping).
    """
    units = [unit for unit, _ in unit_counts.most_common()]
    return units + [unit for unit in range(num_units) if unit not in unit_counts]


def random(unit_counts, num_units, seed):
    """Units in an order that is drawn. (The ancestor draws each label's unit anew, so that labels may share one.)"""
    return np.random.default_rng(seed).permutation(num_units).tolist()


METHODS = dict(freq=freq, random=random, learnable=freq)  # learnable: from there on, mixtures of logits are tuned


def label_map(label_counts, units):
    """The label of rank r by count (ties by first appearance) is said as unit r: `{"yes": [17], "no": [4]}`; injective.

    Where there are more labels than units, every label is said as a sequence, all equally long and as short as can be:
    with 100 units `[17, 17]`, `[17, 4]` and so on for 1251 speakers. Raises `ValueError` where one unit has to say many.
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
    return {label: list(said) for (label, _), said in zip(label_counts.most_common(), product(units, repeat=length))}


def counts(rows):
    """`Counter`s of the labels and of the units of training rows, in order of first appearance."""
    labels, units = Counter(), Counter()
    for row in rows:
        labels.update(row["labels"])
        units.update(row["units"])
    return labels, units
