"""Metrics: equal to independent implementations on random cases, and to numbers computed by hand."""

from itertools import pairwise

import numpy as np
import pandas
import pytest

from evaluation.intervals import wilson_interval
from evaluation.metrics import (
    METRICS,
    eer_statistics,
    equal_error_rate,
    log_odds,
    slots,
    text,
    values_with_interval,
)

CASES = 300
SLOTS = ("genre", "year", "artist")


def frame(pairs, **columns):
    """Return a data frame of pairs (reference, hypothesis) of lists of labels."""
    references, hypotheses = zip(*pairs)
    return pandas.DataFrame(dict(labels=references, predicted_labels=hypotheses, **columns))


def value(metric, rows):
    return METRICS[metric].value(METRICS[metric].statistics(rows))


def cases(seed=0, number=CASES):
    return (np.random.default_rng([seed, i]) for i in range(number))


# independent implementations


def distance(first, second):
    """Return the Levenshtein distance of two sequences, by its recurrence."""
    row = list(range(len(second) + 1))
    for i, x in enumerate(first, 1):
        diagonal = row[0]
        row[0] = i
        for j, y in enumerate(second, 1):
            above = row[j]
            row[j] = min(above + 1, row[j - 1] + 1, diagonal + (x != y))
            diagonal = above
    return row[-1]


def error_rate(pairs):
    """Return the error rate of pairs of sequences (reference, hypothesis)."""
    return sum(distance(*pair) for pair in pairs) / sum(len(reference) for reference, _ in pairs)


def scanned_eer(positive, scores):
    """Return the equal error rate from a scan of all thresholds, from above the highest score down to the lowest."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = [score >= threshold for score in scores]
        false_accepted = np.mean([a for a, p in zip(accepted, positive) if not p])
        false_rejected = np.mean([not a for a, p in zip(accepted, positive) if p])
        points.append((false_accepted, false_rejected))
    for (fa, fr), (next_fa, next_fr) in pairwise(points):
        if next_fa >= next_fr:
            fraction = (fr - fa) / ((fr - fa) + (next_fa - next_fr))
            return fa + fraction * (next_fa - fa)


def macro_f1_by_counts(references, hypotheses):
    """Return the macro F1 of two lists of classes."""
    scores = []
    for name in {*references, *hypotheses}:
        num_correct = sum(reference == hypothesis == name for reference, hypothesis in zip(references, hypotheses))
        scores.append(2 * num_correct / (references.count(name) + hypotheses.count(name)))
    return np.mean(scores)


def f1_of_sets(expected, predicted):
    """Return the harmonic mean of precision and recall; 1 for two empty sets."""
    if not expected and not predicted:
        return 1
    precision = len(expected & predicted) / len(predicted) if predicted else 0
    recall = len(expected & predicted) / len(expected) if expected else 0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def slot_scores(pairs):
    """Return (slot type F1, slot value CER) of pairs of lists of (slot, value)."""
    f1 = []
    errors = 0
    num_characters = 0
    for reference, hypothesis in pairs:
        f1.append(f1_of_sets({slot for slot, _ in reference}, {slot for slot, _ in hypothesis}))
        for slot, word in reference:
            errors += min([distance(word, candidate) for name, candidate in hypothesis if name == slot] or [len(word)])
            num_characters += len(word)
    return np.mean(f1), errors / max(num_characters, 1)


# 1000 random cases each


def random_words(rng, number, min_length=0):
    return [[str(d) for d in rng.integers(0, 4, rng.integers(min_length, 6))] for _ in range(number)]


def random_characters(rng, number):
    """Return lists of the characters A and B and the word separator."""
    return [list("AB|"[i] for i in rng.integers(0, 3, rng.integers(0, 9))) for _ in range(number)]


def spaced_words(labels):
    """Return the words in a list of characters."""
    return "".join(" " if label == "|" else label for label in labels).split()


@pytest.mark.slow
def test_wer_equals_levenshteins_distance_over_the_words():
    for rng in cases():
        number = rng.integers(1, 5)
        pairs = list(zip(random_words(rng, number, 1), random_words(rng, number)))
        assert value("wer", frame(pairs)) == pytest.approx(error_rate(pairs), abs=1e-12)


@pytest.mark.slow
def test_wer_and_cer_of_characters_equal_levenshteins_distance_over_the_text():
    for rng in cases(1):
        number = rng.integers(1, 4)
        references = [["A", "|", *labels] for labels in random_characters(rng, number)]
        hypotheses = random_characters(rng, number)
        pairs = list(zip(references, hypotheses))
        words = [(spaced_words(reference), spaced_words(hypothesis)) for reference, hypothesis in pairs]
        assert value("wer", frame(pairs)) == pytest.approx(error_rate(words), abs=1e-12)
        characters = [(" ".join(reference), " ".join(hypothesis)) for reference, hypothesis in words]
        assert value("cer", frame(pairs)) == pytest.approx(error_rate(characters), abs=1e-12)


@pytest.mark.slow
def test_f1_equals_counts_of_the_classes():
    for rng in cases(2):
        references = ["abc"[i] for i in rng.integers(0, 3, 12)]
        hypotheses = ["abc"[i] for i in rng.integers(0, 3, 12)]
        rows = frame([([reference], [hypothesis]) for reference, hypothesis in zip(references, hypotheses)])
        assert value("f1", rows) == pytest.approx(macro_f1_by_counts(references, hypotheses), abs=1e-12)


def random_scores(rng):
    """Return whether rows are positive, with at least one of both kinds, and their scores, some of them equal."""
    positive = rng.permutation([True, False, *(rng.random(rng.integers(0, 20)) < 0.5)])
    scores = np.round(rng.normal(positive * rng.uniform(-1, 3), 1), int(rng.integers(0, 4)))
    return positive, scores


@pytest.mark.slow
def test_eer_equals_a_scan_of_all_thresholds():
    for rng in cases(3):
        positive, scores = random_scores(rng)
        assert equal_error_rate(np.stack([positive, scores], 1).astype(float)) == pytest.approx(scanned_eer(positive, scores))


@pytest.mark.slow
def test_eer_equals_a_root_by_scipy_on_the_roc_curve_by_scikit_learn():
    from scipy.interpolate import interp1d
    from scipy.optimize import brentq
    from sklearn.metrics import roc_curve

    for rng in cases(4):
        positive, scores = random_scores(rng)
        curve = interp1d(*roc_curve(positive, scores)[:2])
        expected = brentq(lambda x, curve=curve: 1 - x - curve(x), 0, 1)
        assert equal_error_rate(np.stack([positive, scores], 1).astype(float)) == pytest.approx(expected, abs=1e-6)


def random_slots(rng):
    """Return (slot, words) pairs of a sentence; the slot is None for words outside of slots."""
    parts = []
    for _ in range(rng.integers(0, 4)):
        words = ["".join("ABC"[i] for i in rng.integers(0, 3, rng.integers(1, 4))) for _ in range(rng.integers(1, 3))]
        parts.append((str(rng.choice(SLOTS)) if rng.random() < 0.7 else None, " ".join(words)))
    return parts


def symbols_of(parts):
    """Return the parts as a corpus writes them: characters, | between words, tags around slots.

    A stray closing tag and an unclosed slot are added, which do not count as slots.
    """
    symbols = ["|", "</>"]
    for slot, words in parts:
        spelled = ["|" if letter == " " else letter for letter in words]
        symbols += ["|", f"<{slot}>", *spelled, "</>"] if slot else ["|", *spelled]
    return [*symbols, "|", "<year>", "|"]


def slot_cases(rng):
    """Return random pairs of sentences as lists of parts."""
    number = rng.integers(1, 5)
    return [[random_slots(rng) for _ in "ab"] for _ in range(number)]


@pytest.mark.slow
def test_slot_metrics_equal_a_count_of_slots_and_distances_of_values():
    for rng in cases(5):
        rows = slot_cases(rng) + [[[("year", "AB")]] * 2]
        named = [[[(slot, words) for slot, words in parts if slot] for parts in pair] for pair in rows]
        table = frame([tuple(map(symbols_of, pair)) for pair in rows])
        scores = value("slot_type_f1", table), value("slot_value_cer", table)
        assert scores == pytest.approx(slot_scores(named), abs=1e-12)


@pytest.mark.slow
def test_accuracy_and_error_rates_equal_s3prls():
    from s3prl.metric import common

    for rng in cases(7):
        number = rng.integers(1, 5)
        pairs = list(zip(random_words(rng, number, 1), random_words(rng, number, 1)))
        references = [" ".join(words) for words, _ in pairs]
        hypotheses = [" ".join(words) for _, words in pairs]
        rows = frame(pairs)
        wer = common.wer(hypotheses, references)
        assert value("wer", rows) == pytest.approx(wer, abs=1e-12) == common.per(hypotheses, references)
        assert value("cer", rows) == pytest.approx(common.cer(hypotheses, references), abs=1e-12)
        assert value("accuracy", rows) == pytest.approx(common.accuracy(hypotheses, references), abs=1e-12)


@pytest.mark.slow
def test_slot_metrics_equal_s3prls():
    from s3prl.metric import slot_filling

    for rng in cases(6):
        rows = slot_cases(rng) + [[[("year", "AB")]] * 2]
        references = [s3prl_text(reference) for reference, _ in rows]
        hypotheses = [s3prl_text(hypothesis) for _, hypothesis in rows]
        table = frame([tuple(map(symbols_of, pair)) for pair in rows])
        assert value("slot_type_f1", table) == pytest.approx(slot_filling.slot_type_f1(hypotheses, references), abs=1e-12)
        assert value("slot_value_cer", table) == pytest.approx(slot_filling.slot_value_cer(hypotheses, references), abs=1e-12)


def s3prl_text(parts):
    """Return the parts of a sentence as s3prl writes slots."""
    return " ".join(f"B-{slot} {words} E-{slot}" if slot else words for slot, words in parts)


# computed by hand


@pytest.mark.parametrize(
    "labels, are_characters, expected",
    [
        (["G", "O", "|", "O", "N"], True, "GO ON"),
        (["3", "7"], False, "3 7"),
        (["|", "A", "|", "|", "B", "|"], True, "A B"),
        (["P", "|", "<genre>", "J", "|", "X", "</>"], True, "P <genre> J X </>"),
        ([], True, ""),
        (["<", "A"], True, "<A"),
    ],
)
def test_text(labels, are_characters, expected):
    assert text(labels, are_characters) == expected


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("play <genre> jazz </>", [("genre", "jazz")]),
        ("<a> x y </> <a> z </>", [("a", "x y"), ("a", "z")]),
        ("", []),
        ("<a> </>", []),
        ("<a> x", []),
        ("</> x </>", []),
        ("<a> x <b> y </> z </>", [("b", "y")]),
    ],
)
def test_slots(sentence, expected):
    assert slots(sentence) == expected


def test_a_known_eer():
    rows = frame(
        [(["real"], ["real"]), (["real"], ["fake"]), (["fake"], ["fake"]), (["fake"], ["real"])], score=[3.0, 1.0, 2.0, 0.5]
    )
    assert eer_statistics(rows).tolist() == [[1, 3.0], [1, -1.0], [0, -2.0], [0, 0.5]]
    assert value("eer", rows) == 0.5
    assert value("eer", rows.assign(score=[3.0, 0.1, 2.0, -1.0])) == 0.0
    with pytest.raises(ValueError, match="an equal error rate needs two classes; .* got \\['fake'\\]; choose another metric"):
        eer_statistics(frame([(["fake"], ["fake"])], score=[1.0]))


def test_log_odds():
    assert log_odds(np.log([0.5, 0.9])) == pytest.approx([0, np.log(9)])
    nearly_certain = log_odds([-1e-3, -1e-9, -1e-15, -0.0])
    assert np.isfinite(nearly_certain).all() and (np.diff(nearly_certain) > 0).all()


# intervals


def test_the_interval_of_an_accuracy_is_near_wilsons():
    rows = frame([(["a"], ["a" if i % 10 < 7 else "b"]) for i in range(400)])
    values, low, high = values_with_interval([rows], "accuracy", num_resamples=2000, seed=1)
    assert values == [0.7] and (low, high) == pytest.approx(wilson_interval(280, 400), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_contains_the_value_and_depends_on_its_seed_alone(metric):
    rng = np.random.default_rng(3)
    sentences = ["<a> x </>", "<b> xy </>"]
    references = rng.choice(sentences, 60)
    hypotheses = [reference if rng.random() < 0.7 else sentences[0] for reference in references]
    pairs = [(reference.split(), hypothesis.split()) for reference, hypothesis in zip(references, hypotheses)]
    rows = frame(pairs, score=rng.random(60))
    values, low, high = values_with_interval([rows, rows], metric, num_resamples=200, seed=1)
    assert (values, low, high) == values_with_interval([rows, rows], metric, num_resamples=200, seed=1)
    assert values[0] == values[1] == value(metric, rows) and low < values[0] < high
    assert (low, high) != values_with_interval([rows, rows], metric, num_resamples=200, seed=2)[1:]


def test_a_split_without_slots_has_no_slot_metric():
    with pytest.raises(ValueError, match="a split must contain what its metric counts"):
        values_with_interval([frame([(["x"], ["x"])])], "slot_value_cer", num_resamples=2, seed=1)
