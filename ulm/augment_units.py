"""Augmentation of units: random deletion, substitution by similar units, cropping.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

from dataclasses import dataclass

import numpy as np

from ulm.vocabulary import EOS, SEPARATOR, SPECIALS

TEMPERATURE = 0.08  # of the softmax over cosine similarities that gives the substitution probabilities
MIN_UNITS = 4  # a row is never made shorter than this


@dataclass(frozen=True)
class UnitAugmentation:
    """How strongly rows are changed at random. With probability 0 they stay as they are."""

    probability: float  # that a row is changed
    drop: float  # largest probability of deleting a unit
    substitute: float  # largest probability of replacing a unit by a similar one
    crop: float  # largest fraction of the row that is cut off, counting both ends together


def substitution_table(rows, vocabulary_size):
    """Return the cumulative probabilities with which each token is replaced by each other one. No labels are used.

    Tokens are similar if they have similar neighbours. The similarity is the cosine between two vectors, which hold the positive
    pointwise mutual information of a token with its left and right neighbours.

    Args:
        rows: sources `u1 … uN` of the training split.
        vocabulary_size: number V of tokens in the vocabulary.

    Returns:
        Array `[V, V]`, one row per token to replace.
    """
    counts = np.zeros((vocabulary_size, 2 * vocabulary_size))
    for row in rows:
        padded = np.concatenate([[EOS], row, [SEPARATOR]])
        np.add.at(counts, (padded[1:-1], padded[:-2]), 1)
        np.add.at(counts, (padded[1:-1], vocabulary_size + padded[2:]), 1)
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / max(counts.sum(), 1)
    information = np.log(np.maximum(counts, 1e-12) / np.maximum(expected, 1e-12)).clip(0) * (counts > 0)
    vectors = information / np.maximum(np.linalg.norm(information, axis=1, keepdims=True), 1e-9)
    weights = np.exp((vectors @ vectors.T) / TEMPERATURE)
    np.fill_diagonal(weights, 0)
    weights[:, counts.sum(1) == 0] = 0
    weights[:, : len(SPECIALS)] = 0
    return np.cumsum(weights / np.maximum(weights.sum(1, keepdims=True), 1e-300), 1)


def augment(row, augmentation, table, rng):
    """Return tokens `[N]` with random changes. Runs of equal tokens are collapsed again afterwards.

    Args:
        row: tokens `[N]`, which are not changed in place.
        augmentation: a `UnitAugmentation`.
        table: the result of `substitution_table`.
        rng: `numpy.random.Generator`.

    Returns:
        The changed tokens, or the row itself if fewer than `MIN_UNITS` would be left.
    """
    if rng.random() >= augmentation.probability:
        return row
    changed = row.copy()
    substituted = rng.random(len(row)) < rng.uniform(0, augmentation.substitute)
    for i in np.flatnonzero(substituted):
        changed[i] = min(np.searchsorted(table[changed[i]], rng.random()), len(table) - 1)
    kept = rng.random(len(row)) >= rng.uniform(0, augmentation.drop)
    num_cropped = rng.integers(0, int(augmentation.crop * len(row)) + 1)
    num_cropped_left = rng.integers(0, num_cropped + 1)
    kept[:num_cropped_left] = False
    kept[len(row) - (num_cropped - num_cropped_left) :] = False
    changed = changed[kept]
    changed = changed[np.diff(changed, prepend=-1) != 0]
    return changed if len(changed) >= MIN_UNITS else row
