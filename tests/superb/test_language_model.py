"""N-grams: they are distributions, an interpolation computed by hand, histories."""

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


def test_a_known_interpolation():
    lm = NGram(SEQUENCES, 2)
    assert lm.words == {"a", "b", SENTENCE_END, UNKNOWN_WORD}
    uniform = 1 / 4

    def unigram(count):
        return (count + 3 * uniform) / (9 + 3)  # a occurs 3 times, b 2, </s> 4

    assert lm.score((), "a") == pytest.approx(log(unigram(3)))
    assert lm.score(("a",), "b") == pytest.approx(log((1 + 3 * unigram(2)) / (3 + 3)))  # after a: b, a, </s>
    assert lm.score(("<s>",), "b") == pytest.approx(log((1 + 3 * unigram(2)) / (4 + 3)))
    assert lm.score(("a",), "zebra") == lm.score(("a",), UNKNOWN_WORD) == pytest.approx(log(3 * unigram(0) / 6))
    assert lm.score(("zebra",), "a") == lm.score((), "a")


def test_a_history_has_one_word_less_than_the_order():
    for order, expected in ((1, ()), (2, ("c",)), (3, ("b", "c")), (9, ("<s>", "a", "b", "c"))):
        assert NGram(SEQUENCES, order).history(["a", "b", "c"]) == expected


def test_what_was_seen_is_more_probable_the_longer_the_history():
    lm = NGram([list("abcd"), list("xbyd")] * 5, 3)
    assert lm.score(("a", "b"), "c") > lm.score(("b",), "c") > lm.score((), "c")
