"""Paired comparison of tasks with earlier tasks and with baselines, on the same test utterances.

A paired difference has a narrower interval than the separate intervals of the two values suggest.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import METRICS, frames_by_seed, log_odds, percentile_interval, resample
from storage import tables
from storage.errors import notice
from storage.files import read_json
from ulm.schemas import BASELINES, DIFFERENCES, SAMPLES

MAX_SHOWN = 5  # pairs of tasks on the terminal


@dataclass
class System:
    """Something that predicts the labels of test rows: the tuned unit LM of a task, or a baseline."""

    name: str
    test_rows: list  # (utterance_id, labels) of each row
    values: dict  # name of one of `METRICS` → its mean over seeds
    means: dict  # name of the metric → [R]: its mean over seeds in each resample, see `resample`


def system(name, metrics, frames, **bootstrap):
    """Return a `System`.

    Args:
        name: name of the system.
        metrics: names of `METRICS`.
        frames: data frames of its test rows, one per seed, with the same utterances in the same order.
        bootstrap: `num_resamples` and `seed` of `resample`.
    """
    test_rows = [(utterance_id, list(labels)) for utterance_id, labels in zip(frames[0].utterance_id, frames[0].labels)]
    resampled = {metric: resample(frames, metric, **bootstrap) for metric in metrics}
    values = {metric: float(np.mean(by_seed)) for metric, (by_seed, _) in resampled.items()}
    return System(name, test_rows, values, {metric: means for metric, (_, means) in resampled.items()})


def difference(compared, reference, metric):
    """Return a row of `DIFFERENCES` from two systems with the same test rows and a metric that both have."""
    low, high = percentile_interval(compared.means[metric] - reference.means[metric])
    return dict(
        task=compared.name,
        reference=reference.name,
        metric=metric,
        higher_is_better=METRICS[metric].higher_is_better,
        num_rows=len(compared.test_rows),
        difference=compared.values[metric] - reference.values[metric],
        difference_low=low,
        difference_high=high,
    )


def shared_metrics(first, second):
    """Return the names of the metrics of two systems that both have, in the order of the first system."""
    return [metric for metric in first.values if metric in second.values]


def obstacle(first, second):
    """Return why two tasks are not compared, as text; empty if they are compared."""
    if not shared_metrics(first, second):
        return f"no metric in common, {', '.join(first.values)} and {', '.join(second.values)}"
    if [name for name, _ in first.test_rows] != [name for name, _ in second.test_rows]:
        return f"different test rows, {len(first.test_rows)} and {len(second.test_rows)}"
    return "" if first.test_rows == second.test_rows else "different labels of the same test rows"


def samples_by_seed(samples):
    """Return the test rows of a table of `SAMPLES` as data frames, one per seed, in the order of their utterances."""
    frame = _test_rows(samples, SAMPLES)
    return list(frames_by_seed(frame.assign(score=log_odds(frame.score))).values())


def compare_tasks(*, acc, samples, baselines, differences, num_resamples, seed):
    """Stage: compare each task with its baselines and with earlier tasks on the same test rows. See `DIFFERENCES`.

    Tasks are compared in each metric that they share. Pairs of tasks that are not compared are listed with the reason.

    Args:
        acc: JSON reports of the tasks.
        samples: tables of `SAMPLES` of the same tasks in the same order.
        baselines: tables of `BASELINES` of the same tasks in the same order.
        differences: table of `DIFFERENCES` to write.
        num_resamples, seed: number of resamples and seed of the bootstrap.
    """
    bootstrap = dict(num_resamples=num_resamples, seed=seed)
    tasks = []
    rows = []
    not_compared = []
    for report, task_samples, task_baselines in zip(map(read_json, acc), samples, baselines, strict=True):
        metrics = [report["metric"], *report["other_metrics"]]
        task = system(report["task"], metrics, samples_by_seed(task_samples), **bootstrap)
        by_method = _test_rows(task_baselines, BASELINES).sort_values("utterance_id").groupby("method")
        references = [system(method, metrics, [frame], **bootstrap) for method, frame in by_method]
        for earlier in tasks:
            if reason := obstacle(task, earlier):
                not_compared.append(f"{task.name} with {earlier.name} ({reason})")
            else:
                references.append(earlier)
        for reference in references:
            rows += [difference(task, reference, metric) for metric in shared_metrics(task, reference)]
        tasks.append(task)
    tables.write(differences, rows, DIFFERENCES)
    if not_compared:
        print(*not_compared, sep="\n")
        more = "; … (the log has all)" if len(not_compared) > MAX_SHOWN else ""
        notice(f"{differences}: {len(not_compared)} pairs of tasks not compared: {'; '.join(not_compared[:MAX_SHOWN])}{more}")


def _test_rows(path, schema):
    """Return the rows of the test split of a table as a data frame."""
    return tables.read(path, schema).to_pandas().query("split == 'test'")
