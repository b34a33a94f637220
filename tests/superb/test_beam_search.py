"""Beam search: on small cases, with a beam for everything, the best of all sequences by a sum over all paths."""

from itertools import groupby, product
from math import inf

import numpy as np
import pytest

from superb.beam_search import build_fusion, decode, log_add

SPELLED, WHOLE = ("A", "B", "|"), ("A", "B", "C")
TRANSCRIPTS = ["AB", "A|B", "B|AB", "A", "A"]


def fusion(symbols, lm_weight=0.7, word_score=0.4):
    transcripts = [[label for label in labels if label in symbols] for labels in TRANSCRIPTS]
    return build_fusion(transcripts, symbols, order=2, lm_weight=lm_weight, word_score=word_score)


def random_rows(rng, num_frames):
    logits = 2 * rng.standard_normal((num_frames, 4))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def best_of_all(rows, how):
    """By the probabilities of all paths."""
    found = {}
    for path in product(range(rows.shape[1]), repeat=len(rows)):
        symbols = tuple(symbol for symbol, _ in groupby(path) if symbol)
        found[symbols] = np.logaddexp(found.get(symbols, -inf), sum(row[s] for row, s in zip(rows, path)))

    def score(symbols):
        lm, words = how.language_model, [how.symbols[s - 1] for s in symbols]
        if how.symbols == SPELLED:
            words = "".join(words).replace("|", " ").split()
        parts = [lm.score(lm.history(words[:i]), word) for i, word in enumerate([*words, "</s>"])]
        return found[symbols] + how.lm_weight * sum(parts) + how.word_score * len(words)

    return list(max(found, key=score))


@pytest.mark.parametrize("symbols", [SPELLED, WHOLE])
def test_it_finds_the_best_of_all_sequences(symbols):
    how, changed = fusion(symbols), 0
    for i in range(60):
        rows = random_rows(np.random.default_rng([i, 0]), 1 + i % 5)
        expected = best_of_all(rows, how)
        assert decode(rows, how, beam_size=10_000, min_log_probability=-inf) == expected
        changed += expected != decode(rows, fusion(symbols, 0.0, 0.0), beam_size=10_000, min_log_probability=-inf)
    assert changed > 10  # the language model says something


def test_without_a_language_model_and_beam_it_is_near_the_best_path():
    rows = np.log(np.full((6, 4), 0.01) + 0.96 * np.eye(4)[[1, 1, 0, 1, 2, 0]])
    assert decode(rows, fusion(SPELLED, 0.0, 0.0), beam_size=1, min_log_probability=0.0) == [1, 1, 2]
    assert decode(rows[:0], fusion(SPELLED), beam_size=3, min_log_probability=-5.0) == []


def test_the_language_model_chooses_among_what_sounds_alike():
    rows = np.log([[0.02, 0.47, 0.49, 0.02]])
    assert decode(rows, fusion(SPELLED, 0.0), beam_size=4, min_log_probability=-inf) == [2]
    assert decode(rows, fusion(SPELLED, 2.0), beam_size=4, min_log_probability=-inf) == [1]


def test_sums_of_logarithms():
    assert log_add(-inf, -inf) == -inf and log_add(-inf, 1.0) == log_add(1.0, -inf) == 1.0
    assert log_add(-1.0, -3.0) == log_add(-3.0, -1.0) == pytest.approx(np.logaddexp(-1, -3))
