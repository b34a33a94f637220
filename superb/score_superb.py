"""Score a SUPERB task: metrics with intervals, a baseline, what was trained, and provenance."""

from collections import Counter

import numpy as np

from evaluation.metrics import METRICS, metric_values
from storage import provenance, tables
from storage.errors import notice
from storage.files import read_json, write_json
from storage.schemas import TRAINING
from superb.diarization import diarization_error_rate
from superb.schemas import DATASET, PREDICTIONS

METRICS_OF = dict(  # kind of task → names of its metrics; the first one is that of SUPERB's tables
    ASR=("wer", "cer"),
    PR=("per",),
    KS=("accuracy",),
    IC=("accuracy",),
    SF=("slot_type_f1", "slot_value_cer"),
    SID=("accuracy",),
    SD=("der",),
)
CLASS_KINDS = ("KS", "IC", "SID")  # kinds whose baseline is the most frequent answer


def superb_metrics(collar_seconds):
    """Return a dict from name to `Metric`: those of `evaluation.metrics`, `per` and `der`.

    `per` is the phoneme error rate, the word error rate with phonemes as words.

    Args:
        collar_seconds: see `superb.diarization.diarization_error_rate`.
    """
    return METRICS | dict(per=METRICS["wer"], der=diarization_error_rate(collar_seconds))


def majority(train, test):
    """Return the accuracy on `test` of the most frequent labels of `train`; both are lists of labels, one per row."""
    most_frequent, _ = Counter(map(tuple, train)).most_common(1)[0]
    return float(np.mean([tuple(labels) == most_frequent for labels in test]))


def with_language_model(frame):
    """Return the predictions with the language model instead of those without it, or None if a row has none."""
    if frame.lm_predicted_labels.isna().any():
        return None
    return frame.assign(predicted_labels=frame.lm_predicted_labels)


def score_split(frame, names, metrics, **bootstrap):
    """Return the scores of the predictions for one split.

    Args:
        frame: rows of `PREDICTIONS` as a data frame.
        names: names of the metrics; the first one is the metric of the report.
        metrics: dict from name to `Metric`.
        bootstrap: `num_resamples` and `seed`, see `evaluation.metrics.metric_values`.
    """

    def score(frame, name):
        metric = name if name in METRICS else metrics[name]  # by name, an accuracy gets Wilson's interval
        return metric_values(frame, metric, **bootstrap)

    report = score(frame, names[0])
    report |= dict(num_rows=int(frame.utterance_id.nunique()))
    report |= dict(other_metrics={name: score(frame, name) for name in names[1:]})
    lm_frame = with_language_model(frame)
    if lm_frame is not None:
        report |= dict(with_language_model={name: score(lm_frame, name) for name in names})
    return report


def score_superb(
    *, predictions, dataset, training, sizes, score, superb_task, kind, names, presets, collar_seconds, num_resamples, seed
):
    """Stage: write the report on a task as JSON.

    Args:
        predictions: table of `PREDICTIONS`.
        dataset: table of `DATASET`.
        training: table of `TRAINING`, the learning curves.
        sizes: JSON file with numbers of parameters, which `tune_encoder` wrote.
        score: JSON report to write.
        superb_task: name of the task.
        kind: kind of the task, such as `KS`.
        names: dict with corpus, encoder, tuning, head and fraction of the task, for the report.
        presets: dict with the settings of the training, for the report.
        collar_seconds: the time up to this distance from each start and end of a reference segment does not count (for SD).
        num_resamples: number of resamples of the bootstrap.
        seed: seed of the bootstrap.
    """
    frame = tables.read(predictions, PREDICTIONS).to_pandas()
    metrics = superb_metrics(collar_seconds)
    metric, *_ = METRICS_OF[kind]
    scores = {
        split: score_split(frame[frame.split == split], METRICS_OF[kind], metrics, num_resamples=num_resamples, seed=seed)
        for split in ("test", "dev")
    }
    rows = tables.read(dataset, DATASET).to_pandas()
    labels = {split: part.labels.map(tuple) for split, part in rows.groupby("split")}
    baselines = dict(majority=majority(labels["train"], labels["test"])) if kind in CLASS_KINDS else {}
    report = dict(superb_task=superb_task, kind=kind, metric=metric, higher_is_better=metrics[metric].higher_is_better)
    report |= scores["test"] | dict(dev=scores["dev"], num_train_rows=len(labels["train"]), baselines=baselines)
    report |= read_json(sizes) | dict(names=names, settings=presets)
    report |= dict(
        seeds=sorted(report["value_by_seed"]),
        updates=max(tables.read(training, TRAINING)["update"].to_pylist()),
    )
    record = provenance.record(score)
    write_json(score, report | dict(usage=provenance.usage(record["history"]), provenance=record))
    notice(f"{superb_task}: {metric} {report['value']:.4f} ± {report['value_std']:.4f} on {report['num_rows']} rows")
