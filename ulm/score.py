"""Accuracy with everything that one has to know to believe it."""

from collections import Counter

import numpy as np

from speech2unit import provenance, tables
from speech2unit.files import read_json, write_json
from speech2unit.schemas import TRAINING
from ulm.schemas import BASELINES, CONFUSION, SAMPLES

Z_95 = 1.959963984540054  # normal quantile of a two-sided 95 % interval


def wilson_interval(right, n):
    """95 % interval of a proportion: (low, high). Source: Wilson 1927, which holds for small n and near 0 and 1 as well."""
    p, z2 = right / n, Z_95**2
    centre, spread = p + z2 / (2 * n), Z_95 * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return float((centre - spread) / (1 + z2 / n)), float((centre + spread) / (1 + z2 / n))


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
        accuracy=float(np.mean(values)), accuracy_std=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
        accuracy_low=low, accuracy_high=high, num_rows=n, accuracy_by_seed=by_seed,
        free_accuracy=float(np.mean(free)), num_illegal=float(frame.free_labels.isna().sum() / len(values)),
    )  # fmt: skip


def per_class(frame):
    """Label sequence → recall, precision and rows, over all seeds together."""
    said, told = (Counter(map(" ".join, frame[c])) for c in ("labels", "predicted_labels"))
    right = Counter(" ".join(t) for t, p in zip(frame.labels, frame.predicted_labels) if list(t) == list(p))
    seeds = frame.seed.nunique()
    return {
        label: dict(
            recall=right[label] / said[label], precision=right[label] / max(told[label], 1), num_rows=said[label] // seeds
        )
        for label in sorted(said)
    }


def confusion_rows(frame):
    """Rows of `CONFUSION`."""
    counts = Counter((s, " ".join(t), " ".join(p)) for s, t, p in zip(frame.seed, frame.labels, frame.predicted_labels))
    return [dict(seed=s, label=t, predicted_label=p, count=n) for (s, t, p), n in sorted(counts.items())]


def usage(history):
    """Stage → jobs, seconds in all and the largest memory, over every job that the result depends on."""
    found = {}
    for job in history.values():
        stage = found.setdefault(job["stage"], dict(jobs=0, seconds=0.0, peak_memory_mb=0))
        stage["jobs"] += 1
        stage["seconds"] = round(stage["seconds"] + job["seconds"], 3)
        stage["peak_memory_mb"] = max(stage["peak_memory_mb"], job["peak_memory_mb"])
    return found


def score(*, samples, baselines, training, prompt, config, acc, confusion, task, names):
    """Stage: `acc` is the JSON report, `confusion` the matrix of the test split. `names`: the rows that the task is made of."""
    from safetensors import safe_open

    frame = tables.read(samples, SAMPLES).to_pandas()
    test = frame[frame.split == "test"]
    base = tables.read(baselines, BASELINES).to_pandas().query("split == 'test'")
    with safe_open(prompt, "np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118  (not a dict)
    trained = sum(int(np.prod(shape)) for shape in shapes) // test.seed.nunique()
    record = provenance.record()
    report = dict(task=task, metric="accuracy", **measures(test), dev=measures(frame[frame.split == "dev"]))
    report |= dict(baselines={name: accuracy(part) for name, part in base.groupby("method")}, per_class=per_class(test))
    report |= dict(trained_parameters=trained, total_parameters=trained + read_json(config)["num_parameters"])
    report |= dict(
        names=names,
        seeds=sorted(report["accuracy_by_seed"]),
        updates=int(max(tables.read(training, TRAINING)["update"].to_pylist())),
    )
    write_json(acc, report | dict(usage=usage(record["history"]), provenance=record))
    tables.write(confusion, confusion_rows(test), CONFUSION)
    print(
        f"{task}: accuracy {report['accuracy']:.4f} on {report['num_rows']} rows, n-gram baseline {report['baselines']['ngram_svm']:.4f}"
    )
