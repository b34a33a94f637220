"""Purity, PNMI and entropy: known values, and the values of scikit-learn."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import homogeneity_score
from sklearn.metrics.cluster import contingency_matrix

from speech2unit.unit_quality import entropy_bits, perplexity, pnmi, purity

COUNTS = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=6).map(np.array)


def test_entropy_of_equally_frequent_units_is_the_logarithm_of_their_number():
    assert entropy_bits(np.array([7, 7, 0, 7, 7])) == pytest.approx(2)
    assert entropy_bits(np.array([0, 5])) == 0


def test_units_that_equal_the_labels_are_pure_and_a_single_unit_explains_nothing():
    assert purity(np.diag([2, 2])) == 1 and pnmi(np.diag([2, 2])) == pytest.approx(1)
    assert purity(np.array([[2, 2]])) == 0.5 and pnmi(np.array([[2, 2]])) == pytest.approx(0)


def test_values_as_computed_by_hand():
    counts = contingency_matrix([0, 0, 1, 1, 1, 2], list("aabbca"))
    assert purity(counts) == pytest.approx(5 / 6) and purity(counts.T) == pytest.approx((2 + 2 + 1) / 6)
    entropy = -sum(p * np.log(p) for p in (1 / 2, 1 / 3, 1 / 6))
    conditional_entropy = -0.5 * (2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert pnmi(counts) == pytest.approx((entropy - conditional_entropy) / entropy)


@pytest.mark.slow
@given(COUNTS)
def test_pnmi_is_homogeneity_and_purities_are_fractions(counts):
    assume((counts.sum(0) > 0).sum() >= 2)
    units, labels = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape))
    assert pnmi(counts) == pytest.approx(homogeneity_score(labels, units), abs=1e-9)
    assert 1 / 6 <= purity(counts) <= 1 and 0 < purity(counts.T) <= 1


def test_perplexity_is_the_number_of_equally_frequent_units():
    assert perplexity(np.array([4, 4, 0, 4])) == pytest.approx(3)
    assert perplexity(np.array([0, 9])) == pytest.approx(1)
