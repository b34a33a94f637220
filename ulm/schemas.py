"""The tables that ulm produces."""

import pyarrow as pa

from speech2unit.schemas import COSTS, QUALITY
from storage.tables import field, schema

VOCABULARY = schema(
    "vocabulary",
    field("index", pa.int32(), "row of the unit LM's embedding"),
    field("symbol", pa.string(), "<s>, <pad>, </s>, <unk>, a unit written as a number, or a filler of fairseq"),
    field("unit", pa.int16(), "the unit; null for other symbols", nullable=True),
    field("count", pa.int64(), "occurrences in the unit LM's training split (0 for specials)", unit="units"),
    key=("index",),
    stage="build_vocabulary",
)

PIECES = schema(
    "pieces",
    field(
        "piece",
        pa.int16(),
        "what the unit LM takes for a unit: below the codebook's size the unit itself, then in order of merging",
    ),
    field("units", pa.list_(pa.int16()), "the units that it stands for"),
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
    field("split", pa.string(), "train, dev or test"),
    field("labels", pa.list_(pa.string()), "what was said"),
    field(
        "predicted_labels",
        pa.list_(pa.string()),
        "decoded over legal continuations only: answers of training rows, or any sequence of labels",
    ),
    field("score", pa.float64(), "log probability of the prediction among the legal ones", unit="nat"),
    field("free_units", pa.list_(pa.string()), "symbols decoded greedily over the whole vocabulary"),
    field("free_labels", pa.list_(pa.string()), "their labels; null where the output is illegal", nullable=True),
    key=("seed", "utterance_id"),
    stage="sample",
)

BASELINES = schema(
    "baselines",
    field("method", pa.string(), "majority, ngram_svm (linear SVM on n-grams of the units) or ngram_nearest (most similar row)"),
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("labels", pa.list_(pa.string()), "what was said"),
    field("predicted_labels", pa.list_(pa.string()), "what the method says"),
    field("score", pa.float64(), "how sure it is: 0 of majority, distance from the boundary, cosine similarity"),
    key=("method", "utterance_id"),
    stage="fit_baselines",
)

CONFUSION = schema(
    "confusion",
    field("seed", pa.int32(), "seed of the tuned parameters"),
    field("label", pa.string(), "what was said: a row's labels; of sequences each label, or ∅ beside one that was put in"),
    field("predicted_label", pa.string(), "what was decoded there; ∅ beside a label that was left out"),
    field("count", pa.int64(), "test rows; of sequences, labels", unit="rows"),
    key=("seed", "label", "predicted_label"),
    stage="score",
)

SUMMARY = schema(
    "summary",
    field("task", pa.string(), "row of config/tasks.tsv"),
    field("metric", pa.string(), "what value is: an entry of METRICS in evaluation/metrics.py"),
    field("higher_is_better", pa.bool_(), "false of error rates"),
    field("value", pa.float64(), "the metric on the test split, mean over seeds"),
    field("value_std", pa.float64(), "standard deviation over seeds (0 with one seed)"),
    field(
        "value_low", pa.float64(), "lower end of the 95 % interval: Wilson's of an accuracy, else by a bootstrap over utterances"
    ),
    field("value_high", pa.float64(), "upper end"),
    field("majority_value", pa.float64(), "baseline: most frequent training labels"),
    field(
        "ngram_value",
        pa.float64(),
        "baseline on n-grams of the same reduced units: linear SVM, of sequences the most similar row",
    ),
    field("accuracy", pa.float64(), "rows whose labels are all right, mean over seeds on the test split"),
    field("accuracy_std", pa.float64(), "standard deviation over seeds (0 with one seed)"),
    field("accuracy_low", pa.float64(), "lower end of the 95 % Wilson interval at n rows"),
    field("accuracy_high", pa.float64(), "upper end"),
    field("num_rows", pa.int64(), "test rows n", unit="rows"),
    field("num_seeds", pa.int32(), "seeds", unit="seeds"),
    field("majority_accuracy", pa.float64(), "accuracy of that baseline"),
    field("ngram_accuracy", pa.float64(), "accuracy of that baseline"),
    field("free_accuracy", pa.float64(), "decoding over the whole vocabulary, mean over seeds"),
    field("num_illegal", pa.float64(), "illegal outputs of that decoding, mean over seeds", unit="rows"),
    field("trained_parameters", pa.int64(), "parameters that tuning trained"),
    field("total_parameters", pa.int64(), "parameters of the unit LM with them"),
    field("corpus", pa.string(), "row of config/corpora.tsv"),
    field("codebook", pa.string(), "row of config/codebooks.tsv"),
    field("ulm", pa.string(), "row of config/ulms.tsv"),
    field("verbalizer", pa.string(), "how labels are said in units"),
    field("tuning", pa.string(), "preset of tune_prompt: what was trained"),
    field("examples_per_class", pa.int32(), "so many training rows of every class, 0: all", unit="rows"),
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
        "an earlier task of config.tasks with the same metric on the same test rows, or a baseline of the task",
    ),
    field("metric", pa.string(), "of both: an entry of METRICS in evaluation/metrics.py"),
    field("higher_is_better", pa.bool_(), "false of error rates, where a difference below 0 is a gain"),
    field("num_rows", pa.int64(), "test rows n, the same of both", unit="rows"),
    field("difference", pa.float64(), "value of the task less that of the reference, each the mean over its seeds"),
    field("difference_low", pa.float64(), "lower end of its 95 % interval: a bootstrap over utterances, both on the same ones"),
    field("difference_high", pa.float64(), "upper end"),
    key=("task", "reference"),
    stage="compare_tasks",
)

TASK_COLUMNS = (
    field(
        "tasks",
        pa.list_(pa.string()),
        "the first of config.tasks whose units are the encoder's, and those that repeat it with another seed of the unit LM",
    ),
    field("unit_lms", pa.list_(pa.string()), "the unit LM of each, which reads the units"),
    field("accuracies", pa.list_(pa.float64()), "accuracy of each on the test split, mean over its seeds"),
    field("accuracy", pa.float64(), "their mean; null without a task", nullable=True),
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
        "accuracy less the parent's; null without tasks of both that differ in their units alone",
        nullable=True,
    ),
    field(
        "difference_low",
        pa.float64(),
        "lower end of its 95 % interval: a bootstrap over utterances, both on the same ones; null as above",
        nullable=True,
    ),
    field("difference_high", pa.float64(), "upper end; null as above", nullable=True),
)

ENCODERS_SUMMARY = schema("encoders_summary", *COSTS, *QUALITY, *TASK_COLUMNS, key=("encoder",), stage="summarize_encoders")
