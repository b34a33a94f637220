"""Schemas of the tables that superb writes."""

import pyarrow as pa

from speech2unit.corpora.schemas import MANIFEST
from storage.tables import field, schema

LABELS = (
    "KS, SID: the class; IC: the class of each slot; ASR, PR, SF: symbols; SD: segments such as `1 0.00 0.42` "
    "(speaker, start and end in seconds)"
)

DATASET = schema(
    "dataset",
    *(MANIFEST.field(name) for name in ("utterance_id", "path", "start_seconds", "end_seconds", "split", "speed")),
    *(MANIFEST.field(name) for name in ("num_samples", "audio_hash")),
    field("labels", pa.list_(pa.string()), LABELS),
    key=("utterance_id",),
    stage="create_superb_dataset",
)

CLASSES = schema(
    "classes",
    field("slot", pa.int32(), "number of the label that it is a class of, from 0; always 0 if labels are a sequence or segments"),
    field("index", pa.int32(), "number among the classes of its slot, from 0, in the order of their names"),
    field("label", pa.string(), "a class, a symbol or a speaker of the training split"),
    field("num_rows", pa.int64(), "number of times that it occurs in the training rows that are used", unit="labels"),
    key=("slot", "index"),
    stage="create_superb_dataset",
)

HIDDEN_STATES = schema(
    "hidden_states",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("num_states", pa.int32(), "number of states, L + 1: the input of the first block and the output of each"),
    field("num_frames", pa.int32(), "number of frames, T", unit="frames"),
    field("states", pa.list_(pa.float16()), "(L + 1) × T × D values; reshape(L + 1, T, -1) gives the states"),
    key=("utterance_id",),
    stage="extract_hidden_states",
)

PREDICTIONS = schema(
    "predictions",
    field("seed", pa.int32(), "seed of the training"),
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "dev or test"),
    field("labels", pa.list_(pa.string()), LABELS),
    field("predicted_labels", pa.list_(pa.string()), "labels that the model predicts, in the same form"),
    field(
        "lm_predicted_labels",
        pa.list_(pa.string()),
        "labels predicted with the language model of the training transcripts; null without one",
        nullable=True,
    ),
    key=("seed", "utterance_id"),
    stage="predict",
)

SUPERB_SUMMARY = schema(
    "superb_summary",
    field("superb_task", pa.string(), "row of config/superb_tasks.tsv and its tuning: {superb_task}_{tuning}"),
    field("kind", pa.string(), "ASR, PR, KS, IC, SF, SID or SD"),
    field("corpus", pa.string(), "row of config/corpora.tsv"),
    field("encoder", pa.string(), "row of config/encoders.tsv"),
    field("tuning", pa.string(), "preset of tune_encoder"),
    field("head", pa.string(), "preset of superb_heads"),
    field("fraction", pa.float64(), "fraction of the training split that was used"),
    field("seed", pa.int32(), "seed of the training"),
    field("metric", pa.string(), "name of the metric"),
    field("higher_is_better", pa.bool_(), "false for error rates"),
    field("value", pa.float64(), "the metric on the test split with this seed"),
    field("dev_value", pa.float64(), "the metric on the dev split with this seed"),
    field("mean", pa.float64(), "mean over the seeds of the task, on the test split"),
    field("deviation", pa.float64(), "standard deviation over the seeds; 0 with one seed"),
    field(
        "low", pa.float64(), "lower end of the 95 % interval of the mean: Wilson's for an accuracy, otherwise from a bootstrap"
    ),
    field("high", pa.float64(), "upper end of the interval"),
    field("num_rows", pa.int64(), "number of test rows", unit="rows"),
    field("num_train_rows", pa.int64(), "number of training rows that were used", unit="rows"),
    field("trained_parameters", pa.int64(), "number of trained parameters, those of the head included"),
    field("encoder_parameters", pa.int64(), "number of trained parameters that change the encoder: prompts, adapters, …"),
    key=("superb_task", "seed"),
    stage="summarize_superb",
)

SWEEP = schema(
    "sweep",
    field("factor", pa.float64(), "factor of the learning rates of the presets"),
    field("learning_rate", pa.float64(), "learning rate of the head"),
    field("seed", pa.int32(), "seed of the training"),
    field("metric", pa.string(), "name of the metric"),
    field("dev_value", pa.float64(), "the metric on the dev split, which chooses the rates"),
    field("value", pa.float64(), "the metric on the test split"),
    field("best", pa.bool_(), "whether the mean over the seeds is the best on the dev split"),
    key=("factor", "seed"),
    stage="sweep_learning_rates",
)
