"""Score a trained task on a corpus that it labelled, where the corpus has labels."""

import json
from collections import Counter
from pathlib import Path

import pandas

from evaluation.metrics import METRICS, log_odds, metric_values
from inference.schemas import PREDICTIONS_OF_CORPUS
from storage import provenance, tables
from storage.errors import data_error, notice
from storage.files import write_json
from storage.schemas import SPLITS
from superb.score_superb import METRICS_OF, superb_metrics

COLUMNS = ["utterance_id", "split", "labels", "predicted_labels", "score", "reason"]
SHOWN = ("value", "value_low", "value_high")


def read_scored(path):
    """Return a data frame of the rows that have labels and predictions, and a `Counter` of what the other rows lack.

    Equal labels share one object, so that a large corpus of few classes needs little memory.

    Args:
        path: table of `PREDICTIONS_OF_CORPUS`.
    """
    shared = {}
    others = Counter()
    rows = []
    for batch in tables.stream(path, PREDICTIONS_OF_CORPUS, COLUMNS):
        for row in batch.to_pylist():
            if row["reason"] or row["labels"] is None:
                others[row["reason"] or "no labels"] += 1
                continue
            labels = tuple(row["labels"])
            predicted_labels = tuple(row["predicted_labels"])
            rows.append(
                (
                    row["utterance_id"],
                    row["split"],
                    shared.setdefault(labels, labels),
                    shared.setdefault(predicted_labels, predicted_labels),
                    row["score"],
                )
            )
    frame = pandas.DataFrame(rows, columns=COLUMNS[:-1])
    return frame.assign(score=log_odds(frame.score.astype(float)), seed=0), others


def scores_of(frame, names, metrics, **bootstrap):
    """Return the number of rows, and name of a metric → its value with the 95 % interval.

    Args:
        frame: what `read_scored` returns, or a part of it.
        names: of the metrics.
        metrics: name → `Metric`.
        bootstrap: see `evaluation.metrics.metric_values`.
    """
    scores = {}
    for name in names:
        values = metric_values(frame, name if name in METRICS else metrics[name], **bootstrap)
        scores[name] = {key: values[key] for key in SHOWN}
    return dict(num_rows=len(frame), metrics=scores)


def scores_by_split(frame, names, metrics, **bootstrap):
    """Return split → `scores_of`, for corpora that name splits. A split that has nothing that the metrics count is left out."""
    by_split = {}
    for split in SPLITS:
        rows = frame[frame.split == split]
        if len(rows):
            try:
                by_split[split] = scores_of(rows, names, metrics, **bootstrap)
            except ValueError as error:
                print(f"{split}: {error}")
    return by_split


def score_predictions(*, predictions, bundle, scores, task, corpus, metrics, kind, collar_seconds, num_resamples, seed):
    """Stage: write the metrics of a task on a corpus. Unusable recordings and those without labels are counted and left out.

    Args:
        predictions: table of `PREDICTIONS_OF_CORPUS`.
        bundle: folder of the trained task.
        scores: JSON report to write.
        task: name of the task.
        corpus: name of the corpus.
        metrics: names of the metrics; the first is the main one. Empty for SUPERB tasks.
        kind: kind of a SUPERB task, which decides the metrics; empty for other tasks.
        collar_seconds: see `superb.diarization.diarization_error_rate`.
        num_resamples, seed: of the bootstrap.

    Raises:
        ValueError: if no usable recording has labels.
    """
    frame, others = read_scored(predictions)
    num_unlabelled = others.pop("no labels", 0)
    if frame.empty:
        raise data_error(
            predictions,
            "a score needs recordings with labels",
            expected="a usable recording with labels",
            got=f"{num_unlabelled} without labels, {others.total()} unusable",
            remedy="name the label columns of the corpus in config/corpora.tsv as those of the task, or fill in their cells",
        )
    description = json.loads((Path(bundle) / "bundle.json").read_text())
    all_metrics = superb_metrics(collar_seconds)
    bootstrap = dict(num_resamples=num_resamples, seed=seed)
    metrics = METRICS_OF[kind] if kind else metrics
    main, *other_names = metrics
    whole = scores_of(frame, metrics, all_metrics, **bootstrap)
    record = provenance.record(scores)
    report = dict(task=task, corpus=corpus, metric=main, higher_is_better=all_metrics[main].higher_is_better)
    report |= whole["metrics"][main]
    report |= dict(
        num_rows=len(frame),
        num_unlabelled=num_unlabelled,
        num_unusable=others.total(),
        unusable=dict(others.most_common()),
        other_metrics={name: whole["metrics"][name] for name in other_names},
        splits=scores_by_split(frame, metrics, all_metrics, **bootstrap),
        is_training_corpus=corpus == description["corpus"],
        seed=description["best_seed"],
        usage=provenance.usage(record["history"]),
        provenance=record,
    )
    write_json(scores, report)
    interval = f"[{report['value_low']:.4f}, {report['value_high']:.4f}]"
    notice(f"{task} on {corpus}: {main} {report['value']:.4f} {interval} on {len(frame)} recordings, {others.total()} unusable")
    if report["is_training_corpus"]:
        notice(f"{corpus} is the corpus that {task} was trained on: compare the split test alone")
