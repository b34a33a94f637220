"""A task's metric and accuracy, with everything that one has to know to believe them."""

from collections import Counter
from itertools import zip_longest

import numpy as np

from evaluation.metrics import METRICS, log_odds, metric_values, wilson_interval
from storage import provenance, tables
from storage.errors import notice
from storage.files import read_json, write_json
from storage.schemas import TRAINING
from ulm.schemas import BASELINES, CONFUSION, SAMPLES

NO_LABEL = "∅"  # stands beside a label that was left out of a sequence, or put in


def accuracy(frame, column="predicted_labels"):
    """Fraction of rows whose labels are all right; anything illegal (null) is wrong; every row counts."""
    return float(np.mean([p is not None and list(t) == list(p) for t, p in zip(frame.labels, frame[column])]))


def measures(frame):
    """What one split's samples show: accuracy as mean over seeds with an interval, free decoding, each seed's accuracy."""
    by_seed = {int(seed): accuracy(part) for seed, part in frame.groupby("seed")}
    free = [accuracy(part, "free_labels") for _, part in frame.groupby("seed")]
    n, values = int(frame.utterance_id.nunique()), list(by_seed.values())
    low, high = wilson_interval(np.mean(values) * n, n)
    return dict(
        accuracy=float(np.mean(values)),
        accuracy_std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        accuracy_low=low,
        accuracy_high=high,
        num_rows=n,
        accuracy_by_seed=by_seed,
        free_accuracy=float(np.mean(free)),
        num_illegal=float(frame.free_labels.isna().sum() / len(values)),
    )


def baseline_values(frame, metric, **bootstrap):
    """Method → the metric with its interval, from rows of `BASELINES`."""
    names = ("value", "value_low", "value_high")
    found = {name: metric_values(part.assign(seed=0), metric, **bootstrap) for name, part in frame.groupby("method")}
    return {method: {name: values[name] for name in names} for method, values in found.items()}


def metric_report(test, dev, base, metric, **bootstrap):
    """What one metric says of the test split, the dev split and the baselines on the test split."""
    report = dict(metric=metric, higher_is_better=METRICS[metric].higher_is_better) | metric_values(test, metric, **bootstrap)
    return report | dict(dev=metric_values(dev, metric, **bootstrap), baseline_values=baseline_values(base, metric, **bootstrap))


def label_pairs(frame, open_answers):
    """(seed, said, decoded) of each row, its labels joined; of sequences, each label beside that which it is aligned with."""
    for seed, said, told in zip(frame.seed, frame.labels, frame.predicted_labels):
        pairs = aligned(said, told) if open_answers else [(" ".join(said), " ".join(told))]
        yield from ((seed, *pair) for pair in pairs)


def aligned(said, told):
    """`3 7 1`, `3 1` → 3 beside 3, 7 beside `NO_LABEL`, 1 beside 1, by the fewest edits."""
    from rapidfuzz.distance import Levenshtein

    said, told, pairs = list(said), list(told), []
    for edit in Levenshtein.opcodes(said, told):
        parts = said[edit.src_start : edit.src_end], told[edit.dest_start : edit.dest_end]
        pairs += zip_longest(*parts, fillvalue=NO_LABEL)
    return pairs


def per_class(pairs, num_seeds):
    """Class (a row's labels, or a label of sequences) → recall, precision and how often it was said, from `label_pairs`."""
    said, told = (Counter(pair[i] for pair in pairs) for i in (1, 2))
    right = Counter(label for _, label, decoded in pairs if label == decoded)
    return {
        label: dict(
            recall=right[label] / said[label], precision=right[label] / max(told[label], 1), num_rows=said[label] // num_seeds
        )
        for label in sorted(set(said) - {NO_LABEL})
    }


def confusion_rows(pairs):
    """Rows of `CONFUSION` from `label_pairs`."""
    return [dict(seed=s, label=t, predicted_label=p, count=n) for (s, t, p), n in sorted(Counter(pairs).items())]


def score(*, samples, baselines, training, tuned_weights, config, acc, confusion, task, names, metrics, num_resamples, seed):
    """Stage: `acc` is the JSON report, `confusion` the matrix of the test split. `names`: the rows that the task is made of.

    `metrics`: the first is the report's `value`, the others stand under `other_metrics`.
    """
    frame = tables.read(samples, SAMPLES).to_pandas()
    frame, bootstrap = frame.assign(score=log_odds(frame.score)), dict(num_resamples=num_resamples, seed=seed)
    test, dev = (frame[frame.split == split] for split in ("test", "dev"))
    base = tables.read(baselines, BASELINES).to_pandas().query("split == 'test'")
    trained, added = _sizes(tuned_weights, test.seed.nunique())
    (metric, *_), values = metrics, [metric_report(test, dev, base, each, **bootstrap) for each in metrics]
    record, pairs = provenance.record(acc), list(label_pairs(test, METRICS[metric].open_answers))
    report = dict(task=task) | values[0] | measures(test) | dict(other_metrics={each["metric"]: each for each in values[1:]})
    report["dev"] |= measures(dev)
    report |= dict(baselines={name: accuracy(part) for name, part in base.groupby("method")})
    report |= dict(per_class=per_class(pairs, test.seed.nunique()))
    report |= dict(trained_parameters=trained, total_parameters=added + read_json(config)["num_parameters"])
    report |= dict(
        names=names,
        seeds=sorted(report["accuracy_by_seed"]),
        updates=int(max(tables.read(training, TRAINING)["update"].to_pylist())),
    )
    write_json(acc, report | dict(usage=provenance.usage(record["history"]), provenance=record))
    tables.write(confusion, confusion_rows(pairs), CONFUSION)
    for each in values:
        others = ", ".join(f"{name} {found['value']:.4f}" for name, found in each["baseline_values"].items())
        notice(f"{task}: {each['metric']} {each['value']:.4f} on {report['num_rows']} rows; {others}")


def _sizes(tuned_weights, num_seeds):
    """How many numbers tuning trained, and how many of them the unit LM did not have before."""
    from safetensors import safe_open

    with safe_open(tuned_weights, "np") as file:
        sizes = {name: int(np.prod(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118  (not a dict)
    added = [size for name, size in sizes.items() if ".lm." not in name or ".parametrizations." in name]
    return sum(sizes.values()) // num_seeds, sum(added) // num_seeds
