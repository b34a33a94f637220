"""Put the results of the folds of a task together: means over the folds with intervals, and all answers in one table."""

import numpy as np
import pandas

from evaluation.intervals import student_interval
from evaluation.metrics import METRICS
from storage import provenance, tables
from storage.errors import notice
from storage.files import read_json, write_json
from ulm.schemas import BASELINES, CONFUSION, SAMPLES
from ulm.score import accuracy, accuracy_report, confusion_rows, label_pairs, per_class


def over_folds(values, higher_is_better):
    """Return `value`, the mean of a metric over folds, with `value_low` and `value_high`, its 95 % interval over them.

    Args:
        values: value of the metric in each fold.
        higher_is_better: whether it is; then it is 1 at most. No metric is below 0.
    """
    low, high = student_interval(values)
    return dict(
        value=float(np.mean(values)),
        value_low=max(low, 0.0),
        value_high=min(high, 1.0) if higher_is_better else high,
    )


def metric_over_folds(reports):
    """Return what acc.json says about one metric, from what the acc.json of each fold says about it."""
    metric = reports[0]["metric"]
    higher_is_better = METRICS[metric].higher_is_better
    seeds = reports[0]["value_by_seed"]
    by_seed = {seed: float(np.mean([report["value_by_seed"][seed] for report in reports])) for seed in seeds}
    baselines = {
        method: over_folds([report["baseline_values"][method]["value"] for report in reports], higher_is_better)
        for method in reports[0]["baseline_values"]
    }
    return dict(
        metric=metric,
        higher_is_better=higher_is_better,
        **over_folds([report["value"] for report in reports], higher_is_better),
        value_std=float(np.std(list(by_seed.values()), ddof=1)) if len(by_seed) > 1 else 0.0,
        value_by_seed=by_seed,
        dev=over_folds([report["dev"]["value"] for report in reports], higher_is_better),
        baseline_values=baselines,
    )


def fold_part(report):
    """Return what acc.json says about a single fold."""
    values = {name: report[name] for name in ("value", "num_rows")}
    return values | dict(baseline_values={method: part["value"] for method, part in report["baseline_values"].items()})


def test_rows(paths, schema):
    """Return the test rows of the tables of all folds as one data frame. Each utterance is tested in one fold."""
    frames = [tables.read(path, schema).to_pandas().query("split == 'test'") for path in paths]
    return pandas.concat(frames, ignore_index=True)


def score_folds(*, fold_acc, fold_samples, fold_baselines, acc, samples, baselines, confusion, task):
    """Stage: write the report of a task with folds, and the answers to all its test rows.

    Args:
        fold_acc: JSON report of the task of each fold.
        fold_samples, fold_baselines: tables of `SAMPLES` and `BASELINES` of each fold, in the same order.
        acc: JSON report to write; docs/acc_json.md explains it.
        samples, baselines: tables of `SAMPLES` and `BASELINES` to write, with the test rows of all folds.
        confusion: table of `CONFUSION` to write.
        task: name of the task.
    """
    reports = [read_json(path) for path in fold_acc]
    frame = test_rows(fold_samples, SAMPLES)
    base = test_rows(fold_baselines, BASELINES)
    first = reports[0]
    main_report = metric_over_folds(reports)
    pairs = list(label_pairs(frame, METRICS[first["metric"]].open_answers))
    report = dict(task=task) | main_report | accuracy_report(frame)
    report["other_metrics"] = {
        name: metric_over_folds([fold["other_metrics"][name] for fold in reports]) for name in first["other_metrics"]
    }
    report["baselines"] = {method: accuracy(rows) for method, rows in base.groupby("method")}
    report["per_class"] = per_class(pairs, len(first["seeds"]))
    report["folds"] = {fold["task"]: fold_part(fold) for fold in reports}
    report |= {name: first[name] for name in ("trained_parameters", "total_parameters", "seeds", "updates")}
    report["names"] = {name: value.removesuffix("_fold1") for name, value in first["names"].items()}
    record = provenance.record(acc)
    write_json(acc, report | dict(usage=provenance.usage(record["history"]), provenance=record))
    tables.write(samples, frame.to_dict("list"), SAMPLES)
    tables.write(baselines, base.to_dict("list"), BASELINES)
    tables.write(confusion, confusion_rows(pairs), CONFUSION)
    others = ", ".join(f"{method} {values['value']:.4f}" for method, values in main_report["baseline_values"].items())
    notice(
        f"{task}: {main_report['metric']} {main_report['value']:.4f} [{main_report['value_low']:.4f}, {main_report['value_high']:.4f}], "
        f"mean of {len(reports)} folds, {report['num_rows']} rows; {others}"
    )
