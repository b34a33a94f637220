"""Verbalizers: how labels are said in units. A method is a function of one signature and an entry of `METHODS`."""

from collections import Counter

import numpy as np

from speech2unit.errors import data_error


def freq(label_counts, unit_counts, num_units, seed):
    """The label of rank r by count is said as the unit of rank r by count; ties by first appearance.

    `label_counts`, `unit_counts`: `Counter`s in order of first appearance over the training split.
    **Source:** SpeechPrompt, arXiv 2203.16773, section 3.2 (frequency mapping).
    """
    units = [unit for unit, _ in unit_counts.most_common()]
    units += [unit for unit in range(num_units) if unit not in unit_counts]
    return {label: [unit] for (label, _), unit in zip(label_counts.most_common(), units)}


def random(label_counts, unit_counts, num_units, seed):
    """Every label is said as a unit of its own, drawn without replacement. (The ancestor's draw is not injective.)"""
    units = np.random.default_rng(seed).permutation(num_units)
    return {label: [int(unit)] for label, unit in zip(label_counts, units)}


METHODS = dict(freq=freq, random=random)


def label_map(method, label_counts, unit_counts, num_units, seed):
    """Label → units by `method`, injective. Raises `ValueError` for more labels than units."""
    if len(label_counts) > num_units:
        raise data_error(
            "verbalizer", f"'{method}' says a label as one unit", expected=f"at most {num_units} labels", got=f"{len(label_counts)}",
            remedy="use a codebook with more clusters",
        )  # fmt: skip
    return METHODS[method](label_counts, unit_counts, num_units, seed)


def counts(rows):
    """`Counter`s of the labels and of the units of training rows, in order of first appearance."""
    labels = Counter(label for row in rows for label in row["labels"])
    return labels, Counter(unit for row in rows for unit in row["units"])
