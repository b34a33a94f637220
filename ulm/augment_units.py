"""Token rows as another utterance of the same might have come out: units dropped, confused, the edges cut."""

from dataclasses import dataclass

import numpy as np

from ulm.build_vocabulary import EOS, SEPARATOR, SPECIALS

TEMPERATURE = 0.08  # of the substitution probabilities over cosine similarities
MIN_UNITS = 4  # a row is never made shorter than this


@dataclass(frozen=True)
class UnitAugmentation:
    """How rows are changed. All zero: not at all."""

    probability: float  # of changing a row at all
    drop: float  # largest probability of leaving a unit out
    substitute: float  # largest probability of taking a similar unit instead
    crop: float  # largest fraction of the row that is cut off at its two ends together


def substitution_table(rows, vocabulary_size):
    """Cumulative probabilities `[V, V]` of each token's substitutes: tokens with the same neighbours, label-free.

    Similarity is the cosine between vectors of positive pointwise mutual information with left and right neighbours.
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


def augment(row, how, table, rng):
    """Token indices `[N]` → changed ones, runs collapsed again; the row itself where too little would be left."""
    if rng.random() >= how.probability:
        return row
    changed = row.copy()
    for i in np.flatnonzero(rng.random(len(row)) < rng.uniform(0, how.substitute)):
        changed[i] = min(np.searchsorted(table[changed[i]], rng.random()), len(table) - 1)
    kept = rng.random(len(row)) >= rng.uniform(0, how.drop)
    cut = rng.integers(0, int(how.crop * len(row)) + 1)
    first = rng.integers(0, cut + 1)
    kept[:first] = kept[len(row) - (cut - first) :] = False
    changed = changed[kept]
    changed = changed[np.diff(changed, prepend=-1) != 0]
    return changed if len(changed) >= MIN_UNITS else row
