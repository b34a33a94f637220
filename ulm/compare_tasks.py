"""Which task does better: differences on the same test utterances, which tell more than two intervals side by side."""

from dataclasses import dataclass

import numpy as np

from evaluation.metrics import METRICS, frames_by_seed, log_odds, percentile_interval, resample
from storage import tables
from storage.files import read_json
from ulm.schemas import BASELINES, DIFFERENCES, SAMPLES


@dataclass
class System:
    """What answers test rows: a task's tuned unit LM or a baseline. `asked`: (utterance_id, labels) of each row."""

    name: str
    metric: str
    asked: list
    value: float
    means: np.ndarray  # [R] of paired resamples, see `resample`


def system(name, metric, frames, **bootstrap):
    """A `System` from its rows of the test split, a data frame each seed, with the same utterances in the same order."""
    values, means = resample(frames, metric, **bootstrap)
    asked = [(utterance, list(labels)) for utterance, labels in zip(frames[0].utterance_id, frames[0].labels)]
    return System(name, metric, asked, float(np.mean(values)), means)


def difference(one, reference):
    """Row of `DIFFERENCES` of two systems on the same rows."""
    low, high = percentile_interval(one.means - reference.means)
    return dict(
        task=one.name,
        reference=reference.name,
        metric=one.metric,
        higher_is_better=METRICS[one.metric].higher_is_better,
        num_rows=len(one.asked),
        difference=one.value - reference.value,
        difference_low=low,
        difference_high=high,
    )


def of_test_split(path, schema):
    return tables.read(path, schema).to_pandas().query("split == 'test'")


def answers_by_seed(samples):
    """The test rows of a task, a data frame each seed, in the order of their utterances."""
    frame = of_test_split(samples, SAMPLES)
    return list(frames_by_seed(frame.assign(score=log_odds(frame.score))).values())


def compare_tasks(*, acc, samples, baselines, differences, num_resamples, seed):
    """Stage: `acc`, `samples` and `baselines` are of the same tasks in the same order. See `DIFFERENCES`."""
    earlier, rows, bootstrap = [], [], dict(num_resamples=num_resamples, seed=seed)
    for report, answers, base in zip(map(read_json, acc), samples, baselines, strict=True):
        name, metric = report["task"], report["metric"]
        one = system(name, metric, answers_by_seed(answers), **bootstrap)
        own = of_test_split(base, BASELINES).sort_values("utterance_id").groupby("method")
        others = [system(method, metric, [part], **bootstrap) for method, part in own]
        others += [other for other in earlier if (other.metric, other.asked) == (metric, one.asked)]
        rows += [difference(one, other) for other in others]
        earlier.append(one)
    tables.write(differences, rows, DIFFERENCES)
