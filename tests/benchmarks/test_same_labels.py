"""How labels of a bundle are compared with those of a finished task."""

from benchmarks.same_labels import agreement


def test_labels_and_scores_are_counted():
    wanted = {"a.wav": ("yes", -0.5), "b.wav": ("no", -0.25), "c.wav": ("up", -1.0)}
    got = {"c.wav": ("down", -1.0), "b.wav": ("no", -0.75), "a.wav": ("yes", -0.5)}
    assert agreement(wanted, got) == dict(rows=3, equal_labels=2, equal_scores=2, largest_difference=0.5)
