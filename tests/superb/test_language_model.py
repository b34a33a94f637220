"""N-grams: distributions, a mixture worked out by hand, histories."""

from math import exp, log

import numpy as np
import pytest

from superb.language_model import SENTENCE_END, UNKNOWN_WORD, NGram

SEQUENCES = [["a", "b"], ["a", "a"], ["b"], []]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_words_after_any_history_are_a_distribution(order):
    rng = np.random.default_rng(0)
    lm = NGram([rng.choice(list("abcd"), rng.integers(0, 6)).tolist() for _ in range(30)], order)
    for words in (rng.choice(list("abcdx"), rng.integers(0, 6)).tolist() for _ in range(50)):
        assert sum(exp(lm.score(lm.history(words), word)) for word in lm.words) == pytest.approx(1)


def test_a_mixture_that_is_known():
    lm = NGram(SEQUENCES, 2)
    assert lm.words == {"a", "b", SENTENCE_END, UNKNOWN_WORD}
    uniform = 1 / 4
    one = lambda count: (count + 3 * uniform) / (9 + 3)  # a 3, b 2, </s> 4  # noqa: E731
    assert lm.score((), "a") == pytest.approx(log(one(3)))
    assert lm.score(("a",), "b") == pytest.approx(log((1 + 3 * one(2)) / (3 + 3)))  # a: then b, a, </s>
    assert lm.score(("<s>",), "b") == pytest.approx(log((1 + 3 * one(2)) / (4 + 3)))
    assert lm.score(("a",), "zebra") == lm.score(("a",), UNKNOWN_WORD) == pytest.approx(log(3 * one(0) / 6))
    assert lm.score(("zebra",), "a") == lm.score((), "a")


def test_histories_are_as_long_as_the_order_asks():
    for order, expected in ((1, ()), (2, ("c",)), (3, ("b", "c")), (9, ("<s>", "a", "b", "c"))):
        assert NGram(SEQUENCES, order).history(["a", "b", "c"]) == expected


def test_what_was_seen_is_more_probable_the_longer_the_history():
    lm = NGram([list("abcd"), list("xbyd")] * 5, 3)
    assert lm.score(("a", "b"), "c") > lm.score(("b",), "c") > lm.score((), "c")
