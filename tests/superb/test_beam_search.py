"""Beam search: with an unlimited beam it finds the best of all sequences, summed over all paths."""

from itertools import groupby, product
from math import inf

import numpy as np
import pytest

from superb.beam_search import build_fusion, decode, log_add

LETTERS = ("A", "B", "|")  # symbols that are letters
WORDS = ("A", "B", "C")  # symbols that are words
TRANSCRIPTS = ["AB", "A|B", "B|AB", "A", "A"]


def make_fusion(symbols, lm_weight=0.7, word_score=0.4):
    transcripts = [[label for label in labels if label in symbols] for labels in TRANSCRIPTS]
    return build_fusion(transcripts, symbols, order=2, lm_weight=lm_weight, word_score=word_score)


def random_rows(rng, num_frames):
    logits = 2 * rng.standard_normal((num_frames, 4))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def best_sequence(rows, fusion):
    """Return the best of all sequences, from the probabilities of all paths."""
    log_probabilities = {}
    for path in product(range(rows.shape[1]), repeat=len(rows)):
        symbols = tuple(symbol for symbol, _ in groupby(path) if symbol)
        path_log_probability = sum(row[s] for row, s in zip(rows, path))
        log_probabilities[symbols] = np.logaddexp(log_probabilities.get(symbols, -inf), path_log_probability)

    def score(symbols):
        lm = fusion.language_model
        words = [fusion.symbols[s - 1] for s in symbols]
        if fusion.symbols == LETTERS:
            words = "".join(words).replace("|", " ").split()
        word_log_probabilities = [lm.score(lm.history(words[:i]), word) for i, word in enumerate([*words, "</s>"])]
        return log_probabilities[symbols] + fusion.lm_weight * sum(word_log_probabilities) + fusion.word_score * len(words)

    return list(max(log_probabilities, key=score))


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [LETTERS, WORDS])
def test_it_finds_the_best_of_all_sequences(symbols):
    with_lm = make_fusion(symbols)
    without_lm = make_fusion(symbols, 0.0, 0.0)
    num_changed = 0
    for i in range(60):
        rows = random_rows(np.random.default_rng([i, 0]), 1 + i % 5)
        expected = best_sequence(rows, with_lm)
        assert decode(rows, with_lm, beam_size=10_000, min_log_probability=-inf) == expected
        num_changed += expected != decode(rows, without_lm, beam_size=10_000, min_log_probability=-inf)
    assert num_changed > 10  # the language model makes a difference


def test_without_a_language_model_a_beam_of_one_follows_the_best_path():
    rows = np.log(np.full((6, 4), 0.01) + 0.96 * np.eye(4)[[1, 1, 0, 1, 2, 0]])
    assert decode(rows, make_fusion(LETTERS, 0.0, 0.0), beam_size=1, min_log_probability=0.0) == [1, 1, 2]
    assert decode(rows[:0], make_fusion(LETTERS), beam_size=3, min_log_probability=-5.0) == []


def test_the_language_model_chooses_among_what_sounds_alike():
    rows = np.log([[0.02, 0.47, 0.49, 0.02]])
    assert decode(rows, make_fusion(LETTERS, 0.0), beam_size=4, min_log_probability=-inf) == [2]
    assert decode(rows, make_fusion(LETTERS, 2.0), beam_size=4, min_log_probability=-inf) == [1]


def test_sums_of_logarithms():
    assert log_add(-inf, -inf) == -inf and log_add(-inf, 1.0) == log_add(1.0, -inf) == 1.0
    assert log_add(-1.0, -3.0) == log_add(-3.0, -1.0) == pytest.approx(np.logaddexp(-1, -3))
