"""The benchmarks of units: numbers of operations, layouts of processes, comparison of results."""

import numpy as np
import pytest

from benchmarks.peers import hubert
from benchmarks.units import agreement, flops
from benchmarks.units_processes import layouts


@pytest.mark.parametrize(("seconds", "maximum"), [(2, 9.8e9), (15, 10.4e9)])
def test_a_second_of_audio_takes_about_ten_billion_operations(seconds, maximum):
    sizes = hubert.sizes()
    assert 9.4e9 < flops(sizes, seconds * 16_000) / seconds < maximum
    assert flops(sizes | dict(num_layers=0), seconds * 16_000) / seconds == pytest.approx(
        5.3e9, rel=0.03
    )  # the CNN and positions


def test_layouts_use_all_cores():
    assert layouts(6) == [(1, 6), (2, 3), (3, 2), (6, 1)]


def test_different_results_are_refused():
    units, features = [np.array([1, 2])], [np.ones((2, 3))]
    assert agreement(units, units, features, features) == dict(max_relative_error=0, changed_units=0, num_units=2)
    with pytest.raises(ValueError, match="relative error 1.0e-04, 0 units differ"):
        agreement(units, units, features, [features[0] * 1.0001])
    with pytest.raises(ValueError, match="1 units differ"):
        agreement(units, [np.array([1, 3])], features, features)
