"""Segments, frames and the diarization error rate: equal to s3prl's and to a count of frames, on 1,000 random cases each."""

from itertools import permutations

import numpy as np
import pandas
import pytest
import torch

from superb.diarization import diarization_error_rate, error_statistics, frames_of_segments, segments_of_frames

CASES, HOP = 1000, 0.01


def frame(*pairs):
    references, hypotheses = zip(*pairs)
    return pandas.DataFrame(dict(labels=references, predicted_labels=hypotheses))


def random_activity(rng, num_frames, run_length):
    return (rng.random((num_frames // run_length + 1, 2)) < rng.random(2)).repeat(run_length, 0)[:num_frames]


def cases(seed):
    """Yield reference and hypothesis, booleans `[T, 2]` in runs. Sometimes a speaker is silent, or both are the same."""
    for i in range(CASES):
        rng = np.random.default_rng([seed, i])
        num_frames, run_length = int(rng.integers(4, 20)), rng.integers(1, 6)
        reference = random_activity(rng, num_frames, run_length)
        yield reference, reference if rng.random() < 0.1 else random_activity(rng, num_frames, run_length)


def segments(active):
    return segments_of_frames(active, HOP, 1)


@pytest.mark.slow
def test_without_a_collar_it_is_s3prls_with_the_better_order():
    from s3prl.metric.diarization import calc_diarization_error

    for reference, hypothesis in cases(0):
        errors, speech = error_statistics(frame((segments(reference), segments(hypothesis))), 0.0)[0]
        length = torch.tensor([len(reference)])
        logits = torch.from_numpy(hypothesis * 2.0 - 1)[None]
        results = [
            calc_diarization_error(logits, torch.from_numpy(reference[None][..., list(order)]), length)
            for order in permutations((0, 1))
        ]
        assert errors == pytest.approx(HOP * min(sum(result[6:9]) for result in results), abs=1e-9)
        assert speech == pytest.approx(HOP * results[0][5], abs=1e-9)


def count_errors(reference, hypothesis, collar_frames):
    """Return the seconds of errors and of speech, counted frame by frame outside the collars."""
    scored = np.ones(len(reference), bool)
    for row in reference.T:
        for edge in np.flatnonzero(np.diff(row.astype(int), prepend=0, append=0)):
            scored[max(edge - collar_frames, 0) : edge + collar_frames] = False
    reference = reference[scored]
    errors = []
    for order in permutations((0, 1)):
        ordered = hypothesis[scored][:, order]
        right = (reference & ordered).sum(1)
        errors.append((np.maximum(reference.sum(1), ordered.sum(1)) - right).sum())
    return HOP * min(errors), HOP * reference.sum()


@pytest.mark.slow
def test_with_a_collar_it_is_a_count_of_the_frames_outside_it():
    for i, (reference, hypothesis) in enumerate(list(cases(1))[:300]):
        statistics = error_statistics(frame((segments(reference), segments(hypothesis))), i % 4 * HOP)[0]
        assert statistics == pytest.approx(count_errors(reference, hypothesis, i % 4), abs=1e-9)


def test_a_known_rate():
    rows = frame((["1 0.00 1.00", "2 0.80 2.00"], ["1 1.00 2.00", "2 0.00 1.20"]), (["1 0.00 1.80"], []))
    metric = diarization_error_rate(0.0)
    assert metric.value(metric.statistics(rows)) == pytest.approx((0.4 + 1.8) / 4.0)
    assert not metric.higher_is_better
    assert error_statistics(rows, 0.25)[0] == pytest.approx([0.0, 0.3 + 0.5])
    assert error_statistics(frame(([], [])), 0.25).tolist() == [[0, 0]]


@pytest.mark.parametrize("hop", [0.01, 0.02, 0.04])
def test_segments_and_frames_are_inverse(hop):
    for reference, _ in list(cases(5))[:100]:
        labels = segments_of_frames(reference, hop, 1)
        assert np.array_equal(frames_of_segments(labels, len(reference), hop, 2), reference.astype(np.float32))


def test_a_frame_belongs_to_who_speaks_in_its_middle():
    labels = ["1 0.00 0.01", "1 0.03 0.06", "2 0.05 9.00"]
    assert frames_of_segments(labels, 4, 0.02, 2).T.tolist() == [[0, 1, 1, 0], [0, 0, 1, 1]]


def test_the_median_filter_removes_short_segments():
    active = np.array([[0, 1, 0, 0, 1, 1, 0, 1, 1, 0]]).T
    assert segments_of_frames(active, 0.1, 3) == ["1 0.40 0.90"]
    assert segments_of_frames(active, 0.1, 1) == ["1 0.10 0.20", "1 0.40 0.60", "1 0.70 0.90"]
