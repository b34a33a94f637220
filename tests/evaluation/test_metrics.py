"""Metrics: equal to independent implementations on random cases, and to numbers worked out by hand."""

from itertools import pairwise

import numpy as np
import pandas
import pytest
from s3prl.metric import common, slot_filling
from scipy.interpolate import interp1d
from scipy.optimize import brentq

from evaluation.metrics import (  # fmt: skip
    METRICS,
    eer_statistics,
    equal_error_rate,
    log_odds,
    slots,
    text,
    values_with_interval,
    wilson_interval,
)

CASES = 1000
SLOTS = ("genre", "year", "artist")


def frame(pairs, **columns):
    said, told = zip(*pairs)
    return pandas.DataFrame(dict(labels=said, predicted_labels=told, **columns))


def value(metric, rows):
    return METRICS[metric].value(METRICS[metric].statistics(rows))


def cases(seed=0, number=CASES):
    return (np.random.default_rng([seed, i]) for i in range(number))


# references


def distance(a, b):
    """Levenshtein's distance by the recurrence."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def error_rate(pairs):
    """Of pairs of sequences (said, told)."""
    return sum(distance(*pair) for pair in pairs) / sum(len(said) for said, _ in pairs)


def scanned_eer(positive, scores):
    """Thresholds one after another, from above the highest score to the lowest; then the crossing between two of them."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(scores), reverse=True):
        accepted = [score >= threshold for score in scores]
        false_accepted = np.mean([a for a, p in zip(accepted, positive) if not p])
        points.append((false_accepted, np.mean([not a for a, p in zip(accepted, positive) if p])))
    for (fa, fr), (next_fa, next_fr) in pairwise(points):
        if next_fa >= next_fr:
            share = (fr - fa) / ((fr - fa) + (next_fa - next_fr))
            return fa + share * (next_fa - fa)


def macro_f1_by_counts(said, told):
    found = []
    for name in {*said, *told}:
        right = sum(s == t == name for s, t in zip(said, told))
        found.append(2 * right / (said.count(name) + told.count(name)))
    return np.mean(found)


def slot_scores(pairs):
    """(slot type F1, slot value CER) of pairs of lists of (slot, value)."""
    f1, errors, characters = [], 0, 0
    for said, told in pairs:
        a, b = {s for s, _ in said}, {s for s, _ in told}
        precision, recall = len(a & b) / len(b) if b else 0, len(a & b) / len(a) if a else 0
        f1.append(1 if not a and not b else 2 * precision * recall / (precision + recall) if precision + recall else 0)
        for slot, word in said:
            errors += min([distance(word, other) for s, other in told if s == slot] or [len(word)])
            characters += len(word)
    return np.mean(f1), errors / max(characters, 1)


# 1000 random cases each


def random_words(rng, number, least=0):
    return [[str(d) for d in rng.integers(0, 4, rng.integers(least, 6))] for _ in range(number)]


def test_wer_equals_levenshteins_distance_over_the_words():
    for rng in cases():
        number = rng.integers(1, 5)
        pairs = list(zip(random_words(rng, number, 1), random_words(rng, number)))
        assert value("wer", frame(pairs)) == pytest.approx(error_rate(pairs), abs=1e-12)


def test_wer_and_cer_of_characters_equal_levenshteins_distance_over_the_text():
    for rng in cases(1):
        number = rng.integers(1, 4)
        said, told = ([list("AB|"[i] for i in rng.integers(0, 3, rng.integers(0, 9))) for _ in range(number)] for _ in "ab")
        pairs = [(["A", "|", *s], t) for s, t in zip(said, told)]
        words = [tuple("".join(" " if x == "|" else x for x in labels).split() for labels in pair) for pair in pairs]
        assert value("wer", frame(pairs)) == pytest.approx(error_rate(words), abs=1e-12)
        characters = [tuple(" ".join(each) for each in pair) for pair in words]
        assert value("cer", frame(pairs)) == pytest.approx(error_rate(characters), abs=1e-12)


def test_f1_equals_counts_of_the_classes():
    for rng in cases(2):
        said, told = ([["abc"[i]] for i in rng.integers(0, 3, 12)] for _ in "ab")
        expected = macro_f1_by_counts(*([x for (x,) in each] for each in (said, told)))
        assert value("f1", frame(list(zip(said, told)))) == pytest.approx(expected, abs=1e-12)


def random_scores(rng):
    positive = rng.permutation([True, False, *(rng.random(rng.integers(0, 20)) < 0.5)])
    scores = np.round(rng.normal(positive * rng.uniform(-1, 3), 1), int(rng.integers(0, 4)))  # with ties
    return positive, scores


def test_eer_equals_a_scan_of_all_thresholds():
    for rng in cases(3):
        positive, scores = random_scores(rng)
        assert equal_error_rate(np.stack([positive, scores], 1).astype(float)) == pytest.approx(scanned_eer(positive, scores))


def test_eer_equals_the_root_that_scipy_finds_on_scikit_learns_curve():
    from sklearn.metrics import roc_curve

    for rng in cases(4):
        positive, scores = random_scores(rng)
        curve = interp1d(*roc_curve(positive, scores)[:2])
        expected = brentq(lambda x, curve=curve: 1 - x - curve(x), 0, 1)
        assert equal_error_rate(np.stack([positive, scores], 1).astype(float)) == pytest.approx(expected, abs=1e-6)


def random_slots(rng):
    """Slots and values of a row, and the words around them."""
    parts = []
    for _ in range(rng.integers(0, 4)):
        words = ["".join("ABC"[i] for i in rng.integers(0, 3, rng.integers(1, 4))) for _ in range(rng.integers(1, 3))]
        parts.append((str(rng.choice(SLOTS)) if rng.random() < 0.7 else None, " ".join(words)))
    return parts


def symbols_of(parts):
    """As the corpora write them: characters, | between words, slots around them; a stray and an unclosed slot are none."""
    symbols = ["|", "</>"]
    for slot, words in parts:
        spelled = ["|" if letter == " " else letter for letter in words]
        symbols += ["|", f"<{slot}>", *spelled, "</>"] if slot else ["|", *spelled]
    return [*symbols, "|", "<year>", "|"]


def slot_cases(rng):
    number = rng.integers(1, 5)
    return [[random_slots(rng) for _ in "ab"] for _ in range(number)]


def test_slot_metrics_equal_a_count_of_slots_and_distances_of_values():
    for rng in cases(5):
        rows = slot_cases(rng) + [[[("year", "AB")]] * 2]
        named = [[[(slot, words) for slot, words in parts if slot] for parts in pair] for pair in rows]
        table = frame([tuple(map(symbols_of, pair)) for pair in rows])
        found = value("slot_type_f1", table), value("slot_value_cer", table)
        assert found == pytest.approx(slot_scores(named), abs=1e-12)


def test_accuracy_and_error_rates_equal_s3prls():
    for rng in cases(7):
        pairs = list(zip(random_words(rng, number := rng.integers(1, 5), 1), random_words(rng, number, 1)))
        said, told = ([" ".join(words) for words in each] for each in zip(*pairs))
        rows = frame(pairs)
        assert value("wer", rows) == pytest.approx(common.wer(told, said), abs=1e-12) == common.per(told, said)
        assert value("cer", rows) == pytest.approx(common.cer(told, said), abs=1e-12)
        assert value("accuracy", rows) == pytest.approx(common.accuracy(told, said), abs=1e-12)


def test_slot_metrics_equal_s3prls():
    for rng in cases(6):
        rows = slot_cases(rng) + [[[("year", "AB")]] * 2]
        write = lambda parts: " ".join(f"B-{slot} {words} E-{slot}" if slot else words for slot, words in parts)  # noqa: E731
        said, told = ([write(pair[i]) for pair in rows] for i in (0, 1))
        table = frame([tuple(map(symbols_of, pair)) for pair in rows])
        assert value("slot_type_f1", table) == pytest.approx(slot_filling.slot_type_f1(told, said), abs=1e-12)
        assert value("slot_value_cer", table) == pytest.approx(slot_filling.slot_value_cer(told, said), abs=1e-12)


# by hand


@pytest.mark.parametrize("labels, spelled, expected", [
    (["G", "O", "|", "O", "N"], True, "GO ON"), (["3", "7"], False, "3 7"), (["|", "A", "|", "|", "B", "|"], True, "A B"),
    (["P", "|", "<genre>", "J", "|", "X", "</>"], True, "P <genre> J X </>"), ([], True, ""), (["<", "A"], True, "<A"),
])  # fmt: skip
def test_text(labels, spelled, expected):
    assert text(labels, spelled) == expected


@pytest.mark.parametrize("said, expected", [
    ("play <genre> jazz </>", [("genre", "jazz")]), ("<a> x y </> <a> z </>", [("a", "x y"), ("a", "z")]), ("", []),
    ("<a> </>", []), ("<a> x", []), ("</> x </>", []), ("<a> x <b> y </> z </>", [("b", "y")]),
])  # fmt: skip
def test_slots(said, expected):
    assert slots(said) == expected


def test_an_eer_that_is_known():
    rows = frame(
        [(["real"], ["real"]), (["real"], ["fake"]), (["fake"], ["fake"]), (["fake"], ["real"])], score=[3.0, 1.0, 2.0, 0.5]
    )
    assert eer_statistics(rows).tolist() == [[1, 3.0], [1, -1.0], [0, -2.0], [0, 0.5]]
    assert value("eer", rows) == 0.5
    assert value("eer", rows.assign(score=[3.0, 0.1, 2.0, -1.0])) == 0.0
    with pytest.raises(ValueError, match="an equal error rate is of two classes; .* got \\['fake'\\]; choose another metric"):
        eer_statistics(frame([(["fake"], ["fake"])], score=[1.0]))


def test_log_odds():
    assert log_odds(np.log([0.5, 0.9])) == pytest.approx([0, np.log(9)])
    nearly = log_odds([-1e-3, -1e-9, -1e-15, -0.0])
    assert np.isfinite(nearly).all() and (np.diff(nearly) > 0).all()


# intervals


def test_the_interval_of_an_accuracy_is_near_wilsons():
    rows = frame([(["a"], ["a" if i % 10 < 7 else "b"]) for i in range(400)])
    values, low, high = values_with_interval([rows], "accuracy", num_resamples=2000, seed=1)
    assert values == [0.7] and (low, high) == pytest.approx(wilson_interval(280, 400), abs=0.01)


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_holds_the_value_and_depends_on_its_seed_alone(metric):
    rng, names = np.random.default_rng(3), ["<a> x </>", "<b> xy </>"]
    pairs = [(said.split(), (said if rng.random() < 0.7 else names[0]).split()) for said in rng.choice(names, 60)]
    rows = frame(pairs, score=rng.random(60))
    values, low, high = found = values_with_interval([rows, rows], metric, num_resamples=200, seed=1)
    assert found == values_with_interval([rows, rows], metric, num_resamples=200, seed=1)
    assert values[0] == values[1] == value(metric, rows) and low < values[0] < high
    assert (low, high) != values_with_interval([rows, rows], metric, num_resamples=200, seed=2)[1:]


def test_a_split_without_slots_has_no_slot_metric():
    with pytest.raises(ValueError, match="a split must hold what its metric counts"):
        values_with_interval([frame([(["x"], ["x"])])], "slot_value_cer", num_resamples=2, seed=1)
