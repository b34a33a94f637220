"""Segments, frames and the diarization error rate: equal to s3prl's and to a count of frames on 1000 random cases each."""

from itertools import permutations

import numpy as np
import pandas
import pytest
import torch
from s3prl.metric.diarization import calc_diarization_error

from superb.diarization import der, der_statistics, frames_of, segments_of_frames

CASES, HOP = 1000, 0.01


def frame(*pairs):
    said, told = zip(*pairs)
    return pandas.DataFrame(dict(labels=said, predicted_labels=told))


def cases(seed):
    """Booleans `[T, 2]` of what was said and told, in runs; sometimes a speaker is silent, or all is the same."""
    for i in range(CASES):
        rng = np.random.default_rng([seed, i])
        num_frames, runs = int(rng.integers(4, 20)), rng.integers(1, 6)
        draw = lambda: (rng.random((num_frames // runs + 1, 2)) < rng.random(2)).repeat(runs, 0)[:num_frames]  # noqa: E731, B023
        said = draw()
        yield said, said if rng.random() < 0.1 else draw()


def segments(active):
    return segments_of_frames(active, HOP, 1)


def test_without_a_collar_it_is_s3prls_in_the_better_order():
    for said, told in cases(0):
        errors, speech = der_statistics(frame((segments(said), segments(told))), 0.0)[0]
        length, logits = torch.tensor([len(said)]), torch.from_numpy(told * 2.0 - 1)[None]
        found = [
            calc_diarization_error(logits, torch.from_numpy(said[None][..., list(order)]), length)
            for order in permutations((0, 1))
        ]
        assert errors == pytest.approx(HOP * min(sum(each[6:9]) for each in found), abs=1e-9)
        assert speech == pytest.approx(HOP * found[0][5], abs=1e-9)


def counted(said, told, collar_frames):
    """Seconds of errors and of speech, frame by frame, outside the collars."""
    scored = np.ones(len(said), bool)
    for row in said.T:
        for edge in np.flatnonzero(np.diff(row.astype(int), prepend=0, append=0)):
            scored[max(edge - collar_frames, 0) : edge + collar_frames] = False
    said, errors = said[scored], []
    for order in permutations((0, 1)):
        other = told[scored][:, order]
        both = (said & other).sum(1)
        errors.append((np.maximum(said.sum(1), other.sum(1)) - both).sum())
    return HOP * min(errors), HOP * said.sum()


def test_with_a_collar_it_is_a_count_of_the_frames_outside():
    for i, (said, told) in enumerate(list(cases(1))[:300]):
        found = der_statistics(frame((segments(said), segments(told))), i % 4 * HOP)[0]
        assert found == pytest.approx(counted(said, told, i % 4), abs=1e-9)


def test_a_rate_that_is_known():
    rows = frame((["1 0.00 1.00", "2 0.80 2.00"], ["1 1.00 2.00", "2 0.00 1.20"]), (["1 0.00 1.80"], []))
    metric = der(0.0)
    assert metric.value(metric.statistics(rows)) == pytest.approx((0.4 + 1.8) / 4.0)
    assert not metric.higher_is_better
    assert der_statistics(rows, 0.25)[0] == pytest.approx([0.0, 0.3 + 0.5])
    assert der_statistics(frame(([], [])), 0.25).tolist() == [[0, 0]]


@pytest.mark.parametrize("hop", [0.01, 0.02, 0.04])
def test_segments_and_frames_are_inverse(hop):
    for said, _ in list(cases(5))[:100]:
        labels = segments_of_frames(said, hop, 1)
        assert np.array_equal(frames_of(labels, len(said), hop, 2), said.astype(np.float32))


def test_a_frame_is_of_who_speaks_in_its_middle():
    labels = ["1 0.00 0.01", "1 0.03 0.06", "2 0.05 9.00"]
    assert frames_of(labels, 4, 0.02, 2).T.tolist() == [[0, 1, 1, 0], [0, 0, 1, 1]]


def test_the_median_removes_what_is_short():
    active = np.array([[0, 1, 0, 0, 1, 1, 0, 1, 1, 0]]).T
    assert segments_of_frames(active, 0.1, 3) == ["1 0.40 0.90"]
    assert segments_of_frames(active, 0.1, 1) == ["1 0.10 0.20", "1 0.40 0.60", "1 0.70 0.90"]
