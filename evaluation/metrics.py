"""Metrics of tasks and their confidence intervals.

A metric is an entry of `METRICS`. One function computes the statistics of every utterance; another one computes the metric from
the statistics of any sample of utterances. The statistics are computed only once, so that resampling is fast.

In the data frames here, every row is an utterance, with the lists of symbols `labels` (the reference) and `predicted_labels` (the
hypothesis), and for the metric `eer` also a `score` (see `eer_statistics`). Words and characters are those of `text`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evaluation.intervals import wilson_interval
from storage.errors import data_error

WORD_SEPARATOR = "|"  # between words, if labels are characters
SLOT_END = "</>"  # closes the slot that `<name>` opened
INTERVAL = (2.5, 97.5)  # percentiles


def text(labels, are_characters):
    """Return labels as text.

    Args:
        labels: list of symbols.
        are_characters: whether they are the characters of words: then `G O | O N` becomes `GO ON`, and `<slot>` and `</>` become
            words of their own. Otherwise labels are words: `3 7`.
    """
    if not are_characters:
        return " ".join(labels)
    parts = (" " if label == WORD_SEPARATOR else f" {label} " if _is_tag(label) else label for label in labels)
    return " ".join("".join(parts).split())


def _is_tag(label):
    """Return whether a label is `<name>` or `</>`."""
    return len(label) > 2 and label[0] == "<" and label[-1] == ">"


def text_pairs(frame):
    """Return (reference, hypothesis) as texts for every row; labels are characters if any of them is `|`."""
    references = list(frame.labels)
    hypotheses = list(frame.predicted_labels)
    are_characters = any(WORD_SEPARATOR in labels for labels in references + hypotheses)
    pairs = zip(references, hypotheses)
    return [(text(reference, are_characters), text(hypothesis, are_characters)) for reference, hypothesis in pairs]


def slots(sentence):
    """Return the (slot, value) pairs of a text in order: `play <genre> jazz </>` → `[("genre", "jazz")]`.

    A slot extends from its opening tag to the next `</>`. A slot does not count if it is empty, never closed, or interrupted by
    another slot.
    """
    pairs = []
    name = None
    words = []
    for word in sentence.split():
        if word == SLOT_END:
            if name and words:
                pairs.append((name, " ".join(words)))
            name = None
        elif _is_tag(word):
            name = word[1:-1]
            words = []
        else:
            words.append(word)
    return pairs


def accuracy_statistics(frame):
    """Return `[N, 2]`: whether all labels of the row are correct, and 1."""
    pairs = zip(frame.labels, frame.predicted_labels)
    return np.array([[list(reference) == list(hypothesis), 1] for reference, hypothesis in pairs], float)


def f1_statistics(frame):
    """Return `[N, 2]`: index of each row's reference class, index of its hypothesis class."""
    pairs = zip(frame.labels, frame.predicted_labels)
    classes = [(" ".join(reference), " ".join(hypothesis)) for reference, hypothesis in pairs]
    _, numbers = np.unique(classes, return_inverse=True)
    return numbers.reshape(len(classes), 2)


def macro_f1(statistics):
    """Return the mean of the classes' F1, from `f1_statistics`."""
    from sklearn.metrics import f1_score

    references, hypotheses = statistics.T
    return f1_score(references, hypotheses, average="macro", zero_division=0)


def eer_statistics(frame):
    """Return `[N, 2]`: whether the reference is the second class (in order of names), and a score that is high for that class.

    Args:
        frame: its column `score` says how sure the system is of the hypothesis, on the same scale for both classes.

    Raises:
        ValueError: if there are not exactly two classes.
    """
    references = [" ".join(labels) for labels in frame.labels]
    hypotheses = [" ".join(labels) for labels in frame.predicted_labels]
    require_two_classes(references, "metric eer")
    _, second = require_two_classes(references + hypotheses, "metric eer")
    rows = zip(references, hypotheses, frame.score)
    return np.array(
        [[reference == second, score if hypothesis == second else -score] for reference, hypothesis, score in rows], float
    )


def equal_error_rate(statistics):
    """Return the rate at which false acceptances equal false rejections, from `eer_statistics`; NaN for a single class.

    The ROC curve is interpolated linearly between its points.
    """
    from sklearn.metrics import roc_curve

    is_positive, score = statistics.T
    if is_positive.min() == is_positive.max():
        return np.nan
    false_acceptance, acceptance, _ = roc_curve(is_positive, score, drop_intermediate=False)
    return float(np.interp(0, false_acceptance - (1 - acceptance), false_acceptance))


def log_odds(log_probability):
    """Return the log odds of a log probability. Near probability 1 they distinguish values that round to the same probability."""
    log_probability = np.minimum(np.asarray(log_probability, float), -np.finfo(float).tiny)
    return log_probability - np.log(-np.expm1(log_probability))


def wer_statistics(frame):
    """Return `[N, 2]`: word errors, words of the reference."""
    from jiwer import process_words

    pairs = text_pairs(frame)
    return np.array([_errors(process_words(reference, hypothesis)) for reference, hypothesis in pairs], float)


def cer_statistics(frame):
    """Return `[N, 2]`: character errors, characters of the reference; spaces between words are characters."""
    return np.array([character_errors(reference, hypothesis) for reference, hypothesis in text_pairs(frame)], float)


def character_errors(reference, hypothesis):
    """Return (number of character errors, number of characters of the reference)."""
    from jiwer import process_characters

    return _errors(process_characters(reference, hypothesis))


def _errors(alignment):
    """Return (number of errors, length of the reference) of an alignment by jiwer."""
    wrong = alignment.substitutions + alignment.deletions
    return wrong + alignment.insertions, wrong + alignment.hits


def slot_type_statistics(frame):
    """Return `[N, 2]`: F1 of the row's set of slot names (1 if both sets are empty), and 1.

    **Source:** SUPERB, arXiv 2105.01051, section 3 (slot filling); equal to s3prl's `slot_type_f1`.
    """
    return np.array([[_slot_type_f1(reference, hypothesis), 1] for reference, hypothesis in text_pairs(frame)], float)


def _slot_type_f1(reference, hypothesis):
    """Return the F1 of the set of slot names of two texts."""
    expected = {name for name, _ in slots(reference)}
    predicted = {name for name, _ in slots(hypothesis)}
    if not expected and not predicted:
        return 1
    return 2 * len(expected & predicted) / (len(expected) + len(predicted))


def slot_value_statistics(frame):
    """Return `[N, 2]`: character errors in the values of the slots, characters of the values in the reference.

    Each value of the reference is compared with the most similar value of the same slot in the hypothesis, or with the empty
    text if there is none. **Source:** SUPERB, arXiv 2105.01051, section 3; equal to s3prl's `slot_value_cer`.
    """
    return np.array([_slot_value_errors(reference, hypothesis) for reference, hypothesis in text_pairs(frame)], float)


def _slot_value_errors(reference, hypothesis):
    """Return `slot_value_statistics` of two texts."""
    predicted = slots(hypothesis)
    totals = np.zeros(2)
    for name, value in slots(reference):
        candidates = [character_errors(value, candidate) for slot, candidate in predicted if slot == name]
        totals += min(candidates, default=(len(value), len(value)))
    return totals


def ratio(statistics):
    """Return the sum of the first column divided by that of the second; NaN if that is 0."""
    numerator, denominator = statistics.sum(0)
    return numerator / denominator if denominator else np.nan


@dataclass(frozen=True)
class Metric:
    """A metric of a task.

    Attributes:
        statistics: function that maps a data frame to an array `[N, 2]`, one row per utterance.
        value: function that maps the statistics `[M, 2]` of any sample of utterances to the metric.
        higher_is_better: whether a higher value is better.
        open_answers: whether any sequence of known labels is a possible answer, not only those of training rows.
    """

    statistics: Callable
    value: Callable
    higher_is_better: bool
    open_answers: bool


METRICS = dict(
    accuracy=Metric(accuracy_statistics, ratio, higher_is_better=True, open_answers=False),
    f1=Metric(f1_statistics, macro_f1, higher_is_better=True, open_answers=False),
    eer=Metric(eer_statistics, equal_error_rate, higher_is_better=False, open_answers=False),
    wer=Metric(wer_statistics, ratio, higher_is_better=False, open_answers=True),
    cer=Metric(cer_statistics, ratio, higher_is_better=False, open_answers=True),
    slot_type_f1=Metric(slot_type_statistics, ratio, higher_is_better=True, open_answers=True),
    slot_value_cer=Metric(slot_value_statistics, ratio, higher_is_better=False, open_answers=True),
)


def resample(frames, metric, *, num_resamples, seed):
    """Compute a metric, and its distribution over bootstrap resamples of the utterances.

    Frames with the same number of rows get the same resamples, so that two systems can be compared in pairs on the same
    utterances.
    **Source:** Efron and Tibshirani 1993, chapter 6.

    Args:
        frames: data frames, one per training seed, with the same utterances in the same order.
        metric: name of one of `METRICS`, or a `Metric`.
        num_resamples: number R of resamples; each draws the utterances with replacement.
        seed: seed of the resamples.

    Returns:
        The metric of every frame, and for every resample the mean over the frames, `[R]`.

    Raises:
        ValueError: if the frames contain nothing that the metric counts.
    """
    metric = METRICS.get(metric, metric)
    statistics = [metric.statistics(frame) for frame in frames]
    values = [float(metric.value(part)) for part in statistics]
    if not np.isfinite(values).all():
        raise data_error(
            "score",
            "a split must contain what its metric counts",
            expected="words, characters, slots or classes",
            got="none",
            remedy="choose another metric in config/tasks.tsv",
        )
    rng = np.random.default_rng(seed)
    num_rows = len(statistics[0])
    means = []
    for _ in range(num_resamples):
        rows = rng.integers(num_rows, size=num_rows)
        means.append(np.mean([metric.value(part[rows]) for part in statistics]))
    return values, np.array(means)


def percentile_interval(means):
    """Return the 95 % interval (low, high) of resampled means, without the NaN of resamples with nothing to count."""
    low, high = np.nanpercentile(means, INTERVAL)
    return float(low), float(high)


def values_with_interval(frames, metric, **bootstrap):
    """Return the metric of every frame, and low and high of the 95 % interval of their mean; see `resample`."""
    values, means = resample(frames, metric, **bootstrap)
    low, high = percentile_interval(means)
    return values, low, high


def frames_by_seed(frame):
    """Return a dict from each training seed to its rows, sorted by utterance."""
    return {int(seed): rows.sort_values("utterance_id") for seed, rows in frame.groupby("seed")}


def metric_values(frame, metric, **bootstrap):
    """Return a metric as the mean over training seeds, with its spread and its 95 % interval.

    Args:
        frame: data frame with the rows of all seeds and the column `seed`.
        metric: name of one of `METRICS`, or a `Metric`.
        bootstrap: `num_resamples` and `seed` of `resample`.

    Returns:
        Dict of `value`, `value_std` (over the seeds), `value_low` and `value_high` (Wilson's interval for the accuracy,
        a bootstrap interval for other metrics) and `value_by_seed`.
    """
    by_seed = frames_by_seed(frame)
    frames = list(by_seed.values())
    values, low, high = values_with_interval(frames, metric, **bootstrap)
    if metric == "accuracy":
        num_rows = len(frames[0])
        low, high = wilson_interval(np.mean(values) * num_rows, num_rows)
    return dict(
        value=float(np.mean(values)),
        value_std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        value_low=low,
        value_high=high,
        value_by_seed=dict(zip(by_seed, values)),
    )


def require_two_classes(labels, place):
    """Return the two classes among `labels`, in order of their names.

    Args:
        labels: iterable of class names.
        place: what the labels belong to, for the error message.

    Raises:
        ValueError: if the number of classes is not two.
    """
    classes = sorted(set(labels))
    if len(classes) != 2:
        raise data_error(
            place,
            "an equal error rate needs two classes",
            expected="both in every split",
            got=f"{classes[:5]}",
            remedy="choose another metric in config/tasks.tsv, or rows with two labels by 'where' in config/corpora.tsv",
        )
    return classes
