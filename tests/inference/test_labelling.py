"""Labelling keeps the order, reads ahead but not far, and goes on after unusable items."""

import itertools
import threading

import numpy as np
import pytest

from inference import labelling
from inference.labelling import label, read_ahead
from speech2unit.corpora.audio import BadAudio
from tests.inference.fakes import FakeRecognizer


def read(item):
    """Return a unit, or raise an error for numbers that 5 divides."""
    if item % 5 == 0:
        raise BadAudio(str(item), "damaged", "a multiple of 5")
    return (item % 8,)


def labelled(items, **changed):
    settings = dict(name_of=str, batch_size=4, num_best=1, num_workers=2) | changed
    return list(label(FakeRecognizer("units"), items, read, **settings))


def test_every_item_has_its_result_in_order():
    pairs = labelled(range(1, 23))
    assert [item for item, _ in pairs] == list(range(1, 23))
    assert [item for item, result in pairs if isinstance(result, BadAudio)] == [5, 10, 15, 20]
    assert all(result.label == ("loud" if item % 8 > 1 else "quiet") for item, result in pairs if item % 5)


def test_unusable_items_count_in_their_batch_and_are_never_recognized():
    recognizer = FakeRecognizer("units")
    list(label(recognizer, range(1, 12), read, name_of=str, batch_size=4, num_best=1, num_workers=2))
    assert recognizer.batch_sizes == [4, 3, 2] and recognizer.names == ["1", "2", "3", "4", "6", "7", "8", "9", "11"]


def test_no_item_and_only_unusable_items():
    assert labelled([]) == []
    assert [result.reason for _, result in labelled([5, 10, 15, 20, 25])] == ["damaged"] * 5


def test_reading_is_never_far_ahead_of_the_results():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield 1

    results = label(FakeRecognizer("units"), items(), read, name_of=str, batch_size=4, num_best=1, num_workers=2)
    assert all(len(taken) <= number + 12 for number, _ in enumerate(results))


def test_threads_read_at_the_same_time():
    both = threading.Barrier(2, timeout=20)

    def wait(item):
        both.wait()
        return item

    assert [content for _, content in read_ahead(range(4), wait, num_workers=2, num_ahead=2)] == [0, 1, 2, 3]


def test_an_error_that_is_about_no_item_ends_the_stream():
    def fail(item):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(read_ahead(range(4), fail, num_workers=1, num_ahead=2))

    def broken_items():
        yield 1
        raise ValueError("no list")

    with pytest.raises(ValueError, match="no list"):
        list(read_ahead(broken_items(), read, num_workers=2, num_ahead=2))


def test_long_recordings_make_small_batches_and_are_not_read_far_ahead(monkeypatch):
    monkeypatch.setattr(labelling, "MAX_SAMPLES", 1000)
    lengths = [400, 400, 400, 2000, 10, 10, 10, 10, 10, 10, 3000, 3000]
    recognizer = FakeRecognizer()
    alive = []

    def decode(length):
        alive.append(length)
        return np.full(length, 0.3), 16_000

    settings = dict(name_of=str, batch_size=4, num_best=1, num_workers=2)
    pairs = list(label(recognizer, lengths, decode, **settings))
    assert [item for item, _ in pairs] == lengths and recognizer.batch_sizes == [3, 1, 4, 3, 1]
    ahead = 0
    for number, _ in enumerate(read_ahead([3000] * 20, decode, num_workers=2, num_ahead=8)):
        ahead = max(ahead, len(alive) - len(lengths) - number - 1)
    assert ahead <= 2


def test_a_stream_that_is_left_early_ends_its_threads():
    before = threading.active_count()
    results = read_ahead(itertools.count(1), lambda item: item, num_workers=3, num_ahead=8)
    assert next(results) == (1, 1)
    results.close()
    assert threading.active_count() == before
