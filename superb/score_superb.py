"""A SUPERB task's metric, with everything that one has to know to believe it."""

from collections import Counter

import numpy as np

from evaluation.metrics import METRICS, metric_values
from storage import provenance, tables
from storage.errors import notice
from storage.files import read_json, write_json
from storage.schemas import TRAINING
from superb.diarization import der
from superb.schemas import DATASET, PREDICTIONS

METRICS_OF = dict(  # kind → its metrics, that of SUPERB's table first
    ASR=("wer", "cer"),
    PR=("per",),
    KS=("accuracy",),
    IC=("accuracy",),
    SF=("slot_type_f1", "slot_value_cer"),
    SID=("accuracy",),
    SD=("der",),
)
CLASSES_OF = ("KS", "IC", "SID")  # kinds whose most frequent answer is a baseline


def known_metrics(collar_seconds):
    """Name → metric; `per` is the word error rate of phonemes."""
    return METRICS | dict(per=METRICS["wer"], der=der(collar_seconds))


def majority(train, test):
    """Accuracy on the labels of `test` of the most frequent labels of `train` (lists of labels)."""
    most = Counter(map(tuple, train)).most_common(1)[0][0]
    return float(np.mean([tuple(labels) == most for labels in test]))


def with_language_model(frame):
    """Predictions with the language model in place of those without, where all rows have them; else None."""
    if frame.lm_predicted_labels.isna().any():
        return None
    return frame.assign(predicted_labels=frame.lm_predicted_labels)


def measures(frame, names, known, **bootstrap):
    """What one split's predictions show by the metrics `names`: that of the first with its interval, the others, with an LM."""

    def values(frame, name):
        return metric_values(frame, name if name in METRICS else known[name], **bootstrap)  # accuracy's interval is by name

    report = values(frame, names[0]) | dict(num_rows=int(frame.utterance_id.nunique()))
    report |= dict(other_metrics={name: values(frame, name) for name in names[1:]})
    if (second := with_language_model(frame)) is not None:
        report |= dict(with_language_model={name: values(second, name) for name in names})
    return report


def score_superb(
    *, predictions, dataset, training, sizes, score, superb_task, kind, names, presets, collar_seconds, num_resamples, seed
):
    """Stage: the JSON report. `names`: the rows that the task is made of; `presets`: how it was trained."""
    frame = tables.read(predictions, PREDICTIONS).to_pandas()
    rows, metrics, known = tables.read(dataset, DATASET).to_pandas(), METRICS_OF[kind], known_metrics(collar_seconds)
    bootstrap = dict(num_resamples=num_resamples, seed=seed)
    test, dev = (measures(frame[frame.split == split], metrics, known, **bootstrap) for split in ("test", "dev"))
    labels = {split: part.labels.map(tuple) for split, part in rows.groupby("split")}
    metric, record = metrics[0], provenance.record(score)
    report = dict(superb_task=superb_task, kind=kind, metric=metric, higher_is_better=known[metric].higher_is_better)
    report |= test | dict(dev=dev, num_train_rows=len(labels["train"]))
    report |= dict(baselines=dict(majority=majority(labels["train"], labels["test"])) if kind in CLASSES_OF else {})
    report |= read_json(sizes) | dict(names=names, settings=presets)
    report |= dict(seeds=sorted(report["value_by_seed"]), updates=max(tables.read(training, TRAINING)["update"].to_pylist()))
    write_json(score, report | dict(usage=provenance.usage(record["history"]), provenance=record))
    notice(f"{superb_task}: {metric} {report['value']:.4f} ± {report['value_std']:.4f} on {report['num_rows']} rows")
