"""How evenly units occur, and how well they match labels, from counts `[K]` and joint counts `[K, L]` of K units and L labels.

**Source:** HuBERT, arXiv 2106.07447, section IV-D.
"""

import numpy as np


def entropy_bits(counts):
    """Return the entropy in bits of the distribution with the counts `[K]`."""
    from scipy.stats import entropy

    return float(entropy(counts[counts > 0], base=2))


def perplexity(counts):
    """Return the perplexity e^H of the distribution with the counts `[K]`: K if all are equally frequent, 1 if one occurs."""
    probabilities = counts[counts > 0] / counts.sum()
    return float(np.exp(-(probabilities * np.log(probabilities)).sum()))


def purity(counts):
    """Return the fraction of frames whose label is the most frequent one of their unit.

    For the transposed counts `[L, K]` this is cluster purity: the fraction of frames whose unit is the most frequent one of
    their label.
    """
    return float((counts / counts.sum()).max(1).sum())


def pnmi(counts):
    """Return phone-normalized mutual information: the fraction of the labels' entropy that the units explain."""
    from sklearn.metrics import mutual_info_score

    information_bits = mutual_info_score(None, None, contingency=counts) / np.log(2)
    return float(information_bits / entropy_bits(counts.sum(0)))
