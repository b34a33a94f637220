"""Score a task: metrics with intervals, baselines, confusion matrix and provenance."""

from collections import Counter
from itertools import zip_longest

import numpy as np

from evaluation.intervals import wilson_interval
from evaluation.metrics import METRICS, log_odds, metric_values
from storage import provenance, tables
from storage.errors import notice
from storage.files import read_json, write_json
from storage.schemas import TRAINING
from ulm.schemas import BASELINES, CONFUSION, SAMPLES

NGRAM_BASELINES = ("ngram_svm", "ngram_nearest")
NO_LABEL = "∅"  # what a label is aligned with if the hypothesis lacks it (deletion) or adds it (insertion)


def accuracy(frame, column="predicted_labels"):
    """Return the fraction of rows whose labels are all right. Outputs that are no answer (null) count as wrong.

    Args:
        frame: rows of `SAMPLES` or `BASELINES`.
        column: name of the column of predictions.
    """
    pairs = zip(frame.labels, frame[column])
    return float(np.mean([hypothesis is not None and list(reference) == list(hypothesis) for reference, hypothesis in pairs]))


def accuracy_report(frame):
    """Return the part of acc.json about the accuracy of one split: with interval, by seed, and of free decoding.

    Args:
        frame: rows of `SAMPLES` of the split.
    """
    by_seed = {int(seed): accuracy(rows) for seed, rows in frame.groupby("seed")}
    free_accuracies = [accuracy(rows, "free_labels") for _, rows in frame.groupby("seed")]
    values = list(by_seed.values())
    num_rows = int(frame.utterance_id.nunique())
    low, high = wilson_interval(np.mean(values) * num_rows, num_rows)
    return dict(
        accuracy=float(np.mean(values)),
        accuracy_std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        accuracy_low=low,
        accuracy_high=high,
        num_rows=num_rows,
        accuracy_by_seed=by_seed,
        free_accuracy=float(np.mean(free_accuracies)),
        num_illegal=float(frame.free_labels.isna().sum() / len(values)),
    )


def baseline_values(frame, metric, **bootstrap):
    """Return a dict from each method in rows of `BASELINES` to the value of a metric with its interval."""
    by_method = {}
    for method, rows in frame.groupby("method"):
        values = metric_values(rows.assign(seed=0), metric, **bootstrap)
        by_method[method] = {name: values[name] for name in ("value", "value_low", "value_high")}
    return by_method


def metric_report(test, dev, baselines, metric, **bootstrap):
    """Return what acc.json says about one metric.

    Args:
        test, dev: rows of `SAMPLES`.
        baselines: rows of `BASELINES` of the test split.
        metric: name of one of `METRICS`.
        bootstrap: `num_resamples` and `seed` of `resample`.
    """
    report = dict(metric=metric, higher_is_better=METRICS[metric].higher_is_better)
    report |= metric_values(test, metric, **bootstrap)
    report["dev"] = metric_values(dev, metric, **bootstrap)
    report["baseline_values"] = baseline_values(baselines, metric, **bootstrap)
    return report


def label_pairs(frame, open_answers):
    """Yield (seed, reference label, predicted label) for rows of `SAMPLES`.

    If answers are classes, all labels of a row together are one label. If they are sequences (`open_answers`), their labels are
    aligned.
    """
    for seed, reference, hypothesis in zip(frame.seed, frame.labels, frame.predicted_labels):
        pairs = aligned(reference, hypothesis) if open_answers else [(" ".join(reference), " ".join(hypothesis))]
        for reference_label, predicted_label in pairs:
            yield seed, reference_label, predicted_label


def aligned(reference, hypothesis):
    """Align two sequences of labels by the fewest edits.

    Example: `3 7 1` and `3 1` → `[("3", "3"), ("7", NO_LABEL), ("1", "1")]`.
    """
    from rapidfuzz.distance import Levenshtein

    reference = list(reference)
    hypothesis = list(hypothesis)
    pairs = []
    for edit in Levenshtein.opcodes(reference, hypothesis):
        reference_part = reference[edit.src_start : edit.src_end]
        hypothesis_part = hypothesis[edit.dest_start : edit.dest_end]
        pairs += zip_longest(reference_part, hypothesis_part, fillvalue=NO_LABEL)
    return pairs


def per_class(pairs, num_seeds):
    """Return a dict from each class to its recall, precision and number of rows per seed, from `label_pairs`."""
    num_references = Counter(reference for _, reference, _ in pairs)
    num_predictions = Counter(predicted for _, _, predicted in pairs)
    num_right = Counter(reference for _, reference, predicted in pairs if reference == predicted)
    classes = {}
    for label in sorted(set(num_references) - {NO_LABEL}):
        classes[label] = dict(
            recall=num_right[label] / num_references[label],
            precision=num_right[label] / max(num_predictions[label], 1),
            num_rows=num_references[label] // num_seeds,
        )
    return classes


def confusion_rows(pairs):
    """Return rows of `CONFUSION` from `label_pairs`."""
    rows = []
    for (seed, reference, predicted), count in sorted(Counter(pairs).items()):
        rows.append(dict(seed=seed, label=reference, predicted_label=predicted, count=count))
    return rows


def count_parameters(tuned_weights, num_seeds):
    """Return the number of trained parameters per seed, and how many of these were added to the unit LM.

    Args:
        tuned_weights: safetensors file that `tune_prompt` wrote, with the tensors of all seeds.
        num_seeds: number of seeds.
    """
    from safetensors import safe_open

    with safe_open(tuned_weights, "np") as file:
        sizes = {name: int(np.prod(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118  (not a dict)
    added = [size for name, size in sizes.items() if ".lm." not in name or ".parametrizations." in name or ".lora_" in name]
    return sum(sizes.values()) // num_seeds, sum(added) // num_seeds


def score(*, samples, baselines, training, tuned_weights, config, acc, confusion, task, names, metrics, num_resamples, seed):
    """Stage: write the report of a task and the confusion matrix of its test split.

    Args:
        samples, baselines, training: tables of `SAMPLES`, `BASELINES` and `TRAINING`.
        tuned_weights: safetensors file that `tune_prompt` wrote.
        config: config.json of the unit LM.
        acc: JSON report to write; docs/acc_json.md explains it.
        confusion: table of `CONFUSION` to write.
        task: name of the task.
        names: the rows and presets that the task is made of, for the report.
        metrics: names of `METRICS`; the first one is the `value` of the report.
        num_resamples, seed: number of resamples and seed of the bootstrap.
    """
    frame = tables.read(samples, SAMPLES).to_pandas()
    frame = frame.assign(score=log_odds(frame.score))
    test = frame[frame.split == "test"]
    dev = frame[frame.split == "dev"]
    num_seeds = test.seed.nunique()
    all_baselines = tables.read(baselines, BASELINES).to_pandas()
    base = all_baselines[all_baselines.split == "test"]
    bootstrap = dict(num_resamples=num_resamples, seed=seed)
    main_report, *other_reports = [metric_report(test, dev, base, metric, **bootstrap) for metric in metrics]
    pairs = list(label_pairs(test, METRICS[metrics[0]].open_answers))
    num_trained, num_added = count_parameters(tuned_weights, num_seeds)
    report = dict(task=task) | main_report | accuracy_report(test)
    report["other_metrics"] = {other["metric"]: other for other in other_reports}
    report["dev"] |= accuracy_report(dev)
    report["baselines"] = {method: accuracy(rows) for method, rows in base.groupby("method")}
    report["per_class"] = per_class(pairs, num_seeds)
    report["trained_parameters"] = num_trained
    report["total_parameters"] = num_added + read_json(config)["num_parameters"]
    report["names"] = names
    report["seeds"] = sorted(report["accuracy_by_seed"])
    report["updates"] = int(max(tables.read(training, TRAINING)["update"].to_pylist()))
    record = provenance.record(acc)
    write_json(acc, report | dict(usage=provenance.usage(record["history"]), provenance=record))
    tables.write(confusion, confusion_rows(pairs), CONFUSION)
    for values in (main_report, *other_reports):
        notice(f"{task}: {_as_text(values, report['num_rows'])}")
    warn_of_better_baseline(task, report, all_baselines[all_baselines.split == "dev"], **bootstrap)
    notice(f"{task}: the whole report is {acc} (see docs/acc_json.md); to label new recordings, make results/{task}/bundle")


def warn_of_better_baseline(task, report, dev_baselines, **bootstrap):
    """Say so if a baseline on n-grams is better on dev than what was tuned: then the tuning, not the units, limits the task.

    Args:
        task: name of the task.
        report: content of acc.json.
        dev_baselines: rows of `BASELINES` of the dev split.
        bootstrap: `num_resamples` and `seed` of `resample`.
    """
    sign = 1 if report["higher_is_better"] else -1
    tuned = report["dev"]["value"]
    for method, baseline in baseline_values(dev_baselines, report["metric"], **bootstrap).items():
        if method in NGRAM_BASELINES and sign * baseline["value"] > sign * tuned:
            notice(
                f"{task}: on dev, {method} has {report['metric']} {baseline['value']:.4f} and what was tuned {tuned:.4f}: the units hold "
                "more than the task gets from them. Try another preset in the column `tuning`, such as prompt20_long, lora8_long or "
                "full_long, or a unit LM with more training (docs/method.md#where-the-n-gram-baseline-wins)"
            )


def _as_text(values, num_rows):
    """Return a metric with its interval and baselines: `accuracy 0.9125 [0.8838, 0.9348] on 480 rows; majority 0.0833, …`."""
    baselines = ", ".join(f"{method} {baseline['value']:.4f}" for method, baseline in values["baseline_values"].items())
    interval = f"[{values['value_low']:.4f}, {values['value_high']:.4f}]"
    return f"{values['metric']} {values['value']:.4f} {interval} on {num_rows} rows; {baselines}"
