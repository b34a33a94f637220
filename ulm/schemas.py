"""Schemas of the tables that the stages of this package write."""

import pyarrow as pa

from speech2unit.schemas import COSTS, QUALITY
from storage.tables import field, schema

VOCABULARY = schema(
    "vocabulary",
    field("index", pa.int32(), "row of the unit LM's embedding"),
    field("symbol", pa.string(), "<s>, <pad>, </s>, <unk>, a unit as a number, or a filler that fairseq added"),
    field("unit", pa.int16(), "the unit; null for other symbols", nullable=True),
    field("count", pa.int64(), "occurrences in the unit LM's training split; 0 for special symbols", unit="units"),
    key=("index",),
    stage="build_vocabulary",
)

PIECES = schema(
    "pieces",
    field(
        "piece",
        pa.int16(),
        "what the unit LM reads as one unit: first every unit of the codebook under its own number, then the merges in order",
    ),
    field("units", pa.list_(pa.int16()), "the units that the piece consists of"),
    key=("piece",),
    stage="fit_pieces",
)

BINARIZED = schema(
    "binarized",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("row", pa.int32(), "position in the split's .bin and .idx, from 0"),
    field("tokens", pa.list_(pa.int32()), "vocabulary indices: units <s> target-units </s>"),
    field("num_source", pa.int32(), "tokens before <s>", unit="tokens"),
    field("labels", pa.list_(pa.string()), "the task's labels"),
    key=("utterance_id",),
    stage="binarize",
)

SAMPLES = schema(
    "samples",
    field("seed", pa.int32(), "seed of the tuned parameters"),
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "dev or test"),
    field("labels", pa.list_(pa.string()), "reference labels"),
    field(
        "predicted_labels",
        pa.list_(pa.string()),
        "labels decoded among legal answers: those of the training rows, or any sequence of known labels",
    ),
    field("score", pa.float64(), "log probability of the prediction among the legal answers", unit="nat"),
    field("free_units", pa.list_(pa.string()), "symbols decoded greedily over the whole vocabulary"),
    field("free_labels", pa.list_(pa.string()), "labels of these symbols; null if they are no legal answer", nullable=True),
    key=("seed", "utterance_id"),
    stage="sample",
)

BASELINES = schema(
    "baselines",
    field(
        "method",
        pa.string(),
        "majority, ngram_svm (linear SVM on n-grams of units) or ngram_nearest (training row with the most similar n-grams)",
    ),
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "dev or test"),
    field("labels", pa.list_(pa.string()), "reference labels"),
    field("predicted_labels", pa.list_(pa.string()), "labels that the method predicts"),
    field("score", pa.float64(), "confidence: 0 for majority, distance from the boundary for the SVM, cosine similarity else"),
    key=("method", "utterance_id"),
    stage="fit_baselines",
)

CONFUSION = schema(
    "confusion",
    field("seed", pa.int32(), "seed of the tuned parameters"),
    field(
        "label",
        pa.string(),
        "reference: all labels of a row, or in sequences each label; ∅ where a label was inserted",
    ),
    field("predicted_label", pa.string(), "prediction that is aligned with it; ∅ where the label was deleted"),
    field("count", pa.int64(), "test rows, or in sequences labels", unit="rows"),
    key=("seed", "label", "predicted_label"),
    stage="score",
)

SUMMARY = schema(
    "summary",
    field("task", pa.string(), "row of config/tasks.tsv"),
    field("metric", pa.string(), "what value measures: an entry of METRICS in evaluation/metrics.py"),
    field("higher_is_better", pa.bool_(), "false for error rates"),
    field("value", pa.float64(), "the metric on the test split, mean over seeds"),
    field("value_std", pa.float64(), "standard deviation over seeds; 0 with one seed"),
    field(
        "value_low",
        pa.float64(),
        "lower end of the 95 % interval: Wilson's for accuracy, a bootstrap over utterances for other metrics",
    ),
    field("value_high", pa.float64(), "upper end"),
    field("majority_value", pa.float64(), "baseline: the most frequent training answer"),
    field(
        "ngram_value",
        pa.float64(),
        "baseline on n-grams of the same units: a linear SVM, or for sequences the training row with the most similar n-grams",
    ),
    field("accuracy", pa.float64(), "fraction of the test rows whose labels are all right, mean over seeds"),
    field("accuracy_std", pa.float64(), "standard deviation over seeds; 0 with one seed"),
    field("accuracy_low", pa.float64(), "lower end of the 95 % Wilson interval for num_rows rows"),
    field("accuracy_high", pa.float64(), "upper end"),
    field("num_rows", pa.int64(), "test rows", unit="rows"),
    field("num_seeds", pa.int32(), "seeds", unit="seeds"),
    field("majority_accuracy", pa.float64(), "accuracy of the majority baseline"),
    field("ngram_accuracy", pa.float64(), "accuracy of the n-gram baseline"),
    field("free_accuracy", pa.float64(), "accuracy of decoding over the whole vocabulary, mean over seeds"),
    field("num_illegal", pa.float64(), "illegal outputs of that decoding, mean over seeds", unit="rows"),
    field("trained_parameters", pa.int64(), "parameters that tuning trained"),
    field("total_parameters", pa.int64(), "parameters of the tuned unit LM, those of the prompt included"),
    field("corpus", pa.string(), "row of config/corpora.tsv"),
    field("codebook", pa.string(), "row of config/codebooks.tsv"),
    field("ulm", pa.string(), "row of config/ulms.tsv"),
    field("verbalizer", pa.string(), "how units are chosen for labels"),
    field("tuning", pa.string(), "preset of tune_prompt: what was trained"),
    field("examples_per_class", pa.int32(), "maximum number of training rows per class; 0: all", unit="rows"),
    field("sampling", pa.string(), "preset of sample: how answers were decoded"),
    key=("task",),
    stage="summarize",
)

DIFFERENCES = schema(
    "differences",
    field("task", pa.string(), "row of config/tasks.tsv"),
    field(
        "reference",
        pa.string(),
        "an earlier task of the comparison with a common metric on the same test rows, or a baseline of the task",
    ),
    field("metric", pa.string(), "metric of both, one row for each: an entry of METRICS in evaluation/metrics.py"),
    field("higher_is_better", pa.bool_(), "false for error rates, for which a difference below 0 is a gain"),
    field("num_rows", pa.int64(), "test rows of both", unit="rows"),
    field("difference", pa.float64(), "value of the task minus that of the reference, each the mean over its seeds"),
    field("difference_low", pa.float64(), "lower end of its 95 % interval: a paired bootstrap over utterances"),
    field("difference_high", pa.float64(), "upper end"),
    key=("task", "reference", "metric"),
    stage="compare_tasks",
)

TASK_COLUMNS = (
    field(
        "tasks",
        pa.list_(pa.string()),
        "the first of config.tasks on the encoder's units, and those that repeat it with another seed of the unit LM",
    ),
    field("unit_lms", pa.list_(pa.string()), "the unit LM of each of these tasks"),
    field("accuracies", pa.list_(pa.float64()), "accuracy of each on the test split, mean over its seeds"),
    field("accuracy", pa.float64(), "mean of the accuracies; null without a task", nullable=True),
    field(
        "accuracy_low",
        pa.float64(),
        "lower end of its 95 % interval (Wilson's, over utterances); null without a task",
        nullable=True,
    ),
    field("accuracy_high", pa.float64(), "upper end; null without a task", nullable=True),
    field(
        "difference",
        pa.float64(),
        "accuracy minus that of the parent; null unless both have tasks that differ in their units alone",
        nullable=True,
    ),
    field(
        "difference_low",
        pa.float64(),
        "lower end of its 95 % interval: a paired bootstrap over utterances; null if difference is",
        nullable=True,
    ),
    field("difference_high", pa.float64(), "upper end; null if difference is", nullable=True),
)

ENCODERS_SUMMARY = schema("encoders_summary", *COSTS, *QUALITY, *TASK_COLUMNS, key=("encoder",), stage="summarize_encoders")
