"""Metrics of a task. A metric is an entry of `METRICS`: what it needs of each utterance, and the number that follows.

Tables are data frames with `labels`, `predicted_labels`, and for `eer` `score` (see `eer_statistics`). Words and characters
are those of `text`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from storage.errors import data_error

WORD_SEPARATOR = "|"  # stands between words where labels are characters
CLOSE = "</>"  # ends the slot that <slot> began
INTERVAL = (2.5, 97.5)  # percentiles
Z_95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval


def text(labels, spelled):
    """Labels as words: `3 7`; where they are characters (`spelled`): `G O | O N` → `GO ON`; `<slot>` and `</>` are words."""
    if not spelled:
        return " ".join(labels)
    parts = (" " if label == WORD_SEPARATOR else f" {label} " if _is_tag(label) else label for label in labels)
    return " ".join("".join(parts).split())


def _is_tag(label):
    return len(label) > 2 and label[0] == "<" and label[-1] == ">"


def texts(frame):
    """`text` of what was said and of what was decoded, row by row; labels are characters where `|` is one of them."""
    columns = frame.labels, frame.predicted_labels
    spelled = any(WORD_SEPARATOR in labels for column in columns for labels in column)
    return list(zip(*([text(labels, spelled) for labels in column] for column in columns)))


def slots(said):
    """Text → (slot, value) in order: `play <genre> jazz </>` → `[("genre", "jazz")]`.

    A slot lasts from its opening to the next `</>`. One that is empty, never closed or cut off by another is none.
    """
    found, name, words = [], None, []
    for word in said.split():
        if word == CLOSE:
            found += [(name, " ".join(words))] if name and words else []
            name = None
        elif _is_tag(word):
            name, words = word[1:-1], []
        else:
            words.append(word)
    return found


def accuracy_statistics(frame):
    """`[N, 2]`: whether all labels of the row are right, and 1."""
    return np.array([[list(said) == list(told), 1] for said, told in zip(frame.labels, frame.predicted_labels)], float)


def f1_statistics(frame):
    """`[N, 2]`: numbers of the class said and of the class decoded."""
    rows = [(" ".join(said), " ".join(told)) for said, told in zip(frame.labels, frame.predicted_labels)]
    return np.unique(rows, return_inverse=True)[1].reshape(len(rows), 2)


def macro_f1(statistics):
    """Mean over the classes of their F1."""
    from sklearn.metrics import f1_score

    return f1_score(*statistics.T, average="macro", zero_division=0)


def eer_statistics(frame):
    """`[N, 2]`: whether the row is of the second class (by name), and a score that is higher the more it seems so.

    `score` of the frame: how sure the decoded class is, on one scale for both. Raises `ValueError` where classes are not two.
    """
    said, told = ([" ".join(labels) for labels in column] for column in (frame.labels, frame.predicted_labels))
    two_classes(said, "metric eer")
    classes = two_classes(said + told, "metric eer")
    return np.array(
        [[s == classes[1], score if t == classes[1] else -score] for s, t, score in zip(said, told, frame.score)], float
    )


def equal_error_rate(statistics):
    """Where the ROC curve, straight between its points, has as many false acceptances as false rejections; NaN for one class."""
    from sklearn.metrics import roc_curve

    positive, score = statistics.T
    if positive.min() == positive.max():
        return np.nan
    false_accepted, accepted, _ = roc_curve(positive, score, drop_intermediate=False)
    return float(np.interp(0, false_accepted - (1 - accepted), false_accepted))


def log_odds(log_probability):
    """Log probability of the decoded class → its log odds: finer than the probability where that is almost 1."""
    log_probability = np.minimum(np.asarray(log_probability, float), -np.finfo(float).tiny)
    return log_probability - np.log(-np.expm1(log_probability))


def wer_statistics(frame):
    """`[N, 2]`: word errors, words said."""
    from jiwer import process_words

    return np.array([_errors(process_words(said, told)) for said, told in texts(frame)], float)


def cer_statistics(frame):
    """`[N, 2]`: character errors, characters said (blanks between words are characters)."""
    return np.array([character_errors(said, told) for said, told in texts(frame)], float)


def character_errors(said, told):
    """(errors, characters said)."""
    from jiwer import process_characters

    return _errors(process_characters(said, told))


def _errors(found):
    wrong = found.substitutions + found.deletions
    return wrong + found.insertions, wrong + found.hits


def slot_type_statistics(frame):
    """`[N, 2]`: F1 of the row's set of slots (1 where there are none and none was decoded), and 1.

    **Source:** SUPERB, arXiv 2105.01051, section 3 (slot filling); as s3prl's `slot_type_f1`.
    """
    pairs = [[{name for name, _ in slots(each)} for each in row] for row in texts(frame)]
    return np.array([[2 * len(a & b) / (len(a) + len(b)) if a or b else 1, 1] for a, b in pairs], float)


def slot_value_statistics(frame):
    """`[N, 2]`: character errors in the slots' values, characters of the values said.

    Each value said is compared with the nearest decoded value of the same slot, or with nothing. **Source:** as above.
    """
    return np.array([_slot_value_errors(*map(slots, row)) for row in texts(frame)], float)


def _slot_value_errors(said, told):
    totals = np.zeros(2)
    for name, value in said:
        near = [character_errors(value, other) for slot, other in told if slot == name]
        totals += min(near, default=(len(value), len(value)))
    return totals


def ratio(statistics):
    """Sum of the first column over that of the second; NaN where that is 0."""
    first, second = statistics.sum(0)
    return first / second if second else np.nan


@dataclass(frozen=True)
class Metric:
    """`statistics`: data frame → array `[N, 2]`; `value`: any of its rows → the number."""

    statistics: Callable
    value: Callable
    higher_is_better: bool
    open_answers: bool  # any sequence of known labels may be answered, not only those of training rows


METRICS = dict(
    accuracy=Metric(accuracy_statistics, ratio, True, False),
    f1=Metric(f1_statistics, macro_f1, True, False),
    eer=Metric(eer_statistics, equal_error_rate, False, False),
    wer=Metric(wer_statistics, ratio, False, True),
    cer=Metric(cer_statistics, ratio, False, True),
    slot_type_f1=Metric(slot_type_statistics, ratio, True, True),
    slot_value_cer=Metric(slot_value_statistics, ratio, False, True),
)


def resampled(frames, metric, *, num_resamples, seed):
    """Values of data frames (a seed each, the same utterances in the same order), and their means over resamples `[R]`.

    metric: the name of one of `METRICS`, or a `Metric`.
    A resample is a sample of the utterances drawn with replacement from `seed`: of tables with as many rows the same one, so
    that means of two systems on the same utterances are paired (Efron and Tibshirani 1993, chapter 6).
    Raises `ValueError` where there is nothing to measure.
    """
    metric = METRICS.get(metric, metric)
    parts = [metric.statistics(frame) for frame in frames]
    values = [float(metric.value(part)) for part in parts]
    if not np.isfinite(values).all():
        raise data_error(
            "score",
            "a split must hold what its metric counts",
            expected="words, characters, slots or classes",
            got="none",
            remedy="choose another metric in config/tasks.tsv",
        )
    rng, rows = np.random.default_rng(seed), len(parts[0])
    drawn = (rng.integers(rows, size=rows) for _ in range(num_resamples))
    return values, np.array([np.mean([metric.value(part[chosen]) for part in parts]) for chosen in drawn])


def percentile_interval(means):
    """95 % interval (low, high) from resampled means, those apart that are NaN: resamples without what the metric counts."""
    low, high = np.nanpercentile(means, INTERVAL)
    return float(low), float(high)


def values_with_interval(frames, metric, **bootstrap):
    """Values of data frames and the 95 % interval of their mean; see `resampled`."""
    values, means = resampled(frames, metric, **bootstrap)
    return values, *percentile_interval(means)


def frames_by_seed(frame):
    """Seed → its rows, in the order of their utterances."""
    return {int(seed): part.sort_values("utterance_id") for seed, part in frame.groupby("seed")}


def wilson_interval(right, n):
    """95 % interval of a proportion: (low, high). Source: Wilson 1927, which holds for small n and near 0 and 1 as well."""
    p, z2 = right / n, Z_95**2
    centre, spread = p + z2 / (2 * n), Z_95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return float((centre - spread) / (1 + z2 / n)), float((centre + spread) / (1 + z2 / n))


def metric_values(frame, metric, **bootstrap):
    """The metric as mean over seeds with a 95 % interval (of accuracy Wilson's, else see `values_with_interval`), and each seed's."""
    seeds, frames = zip(*frames_by_seed(frame).items())
    values, low, high = values_with_interval(frames, metric, **bootstrap)
    if metric == "accuracy":
        rows = len(frames[0])
        low, high = wilson_interval(np.mean(values) * rows, rows)
    return dict(
        value=float(np.mean(values)),
        value_std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        value_low=low,
        value_high=high,
        value_by_seed=dict(zip(seeds, values)),
    )


def two_classes(labels, place):
    """The two classes that stand among `labels`, in their order. Raises `ValueError` where it is another number."""
    classes = sorted(set(labels))
    if len(classes) != 2:
        raise data_error(
            place,
            "an equal error rate is of two classes",
            expected="both in every split",
            got=f"{classes[:5]}",
            remedy="choose another metric in config/tasks.tsv, or rows of two labels with 'where' in config/corpora.tsv",
        )
    return classes
