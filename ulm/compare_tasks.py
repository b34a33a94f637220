"""Paired comparison of tasks with earlier tasks and with baselines, on the same test utterances.

A paired difference has a narrower interval than the separate intervals of the two values suggest.
"""

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import METRICS, frames_by_seed, log_odds, percentile_interval, resample
from storage import tables
from storage.files import read_json
from ulm.schemas import BASELINES, DIFFERENCES, SAMPLES


@dataclass
class System:
    """Something that predicts the labels of test rows: the tuned unit LM of a task, or a baseline."""

    name: str
    metric: str  # name of one of `METRICS`
    test_rows: list  # (utterance_id, labels) of each row
    value: float  # of the metric, mean over seeds
    means: np.ndarray  # [R]: mean of the metric over seeds in each resample, see `resample`


def system(name, metric, frames, **bootstrap):
    """Return a `System`.

    Args:
        name: name of the system.
        metric: name of one of `METRICS`.
        frames: data frames of its test rows, one per seed, with the same utterances in the same order.
        bootstrap: `num_resamples` and `seed` of `resample`.
    """
    values, means = resample(frames, metric, **bootstrap)
    test_rows = [(utterance_id, list(labels)) for utterance_id, labels in zip(frames[0].utterance_id, frames[0].labels)]
    return System(name, metric, test_rows, float(np.mean(values)), means)


def difference(compared, reference):
    """Return a row of `DIFFERENCES` from two systems with the same test rows."""
    low, high = percentile_interval(compared.means - reference.means)
    return dict(
        task=compared.name,
        reference=reference.name,
        metric=compared.metric,
        higher_is_better=METRICS[compared.metric].higher_is_better,
        num_rows=len(compared.test_rows),
        difference=compared.value - reference.value,
        difference_low=low,
        difference_high=high,
    )


def samples_by_seed(samples):
    """Return the test rows of a table of `SAMPLES` as data frames, one per seed, in the order of their utterances."""
    frame = _test_rows(samples, SAMPLES)
    return list(frames_by_seed(frame.assign(score=log_odds(frame.score))).values())


def compare_tasks(*, acc, samples, baselines, differences, num_resamples, seed):
    """Stage: compare each task with its baselines and with earlier tasks on the same test rows. See `DIFFERENCES`.

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
    for report, task_samples, task_baselines in zip(map(read_json, acc), samples, baselines, strict=True):
        task = system(report["task"], report["metric"], samples_by_seed(task_samples), **bootstrap)
        by_method = _test_rows(task_baselines, BASELINES).sort_values("utterance_id").groupby("method")
        references = [system(method, task.metric, [frame], **bootstrap) for method, frame in by_method]
        references += [earlier for earlier in tasks if earlier.metric == task.metric and earlier.test_rows == task.test_rows]
        rows += [difference(task, reference) for reference in references]
        tasks.append(task)
    tables.write(differences, rows, DIFFERENCES)


def _test_rows(path, schema):
    """Return the rows of the test split of a table as a data frame."""
    return tables.read(path, schema).to_pandas().query("split == 'test'")
