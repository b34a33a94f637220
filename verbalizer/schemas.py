"""Schemas of the tables that the stages of this package write."""

import pyarrow as pa

from storage.tables import field, schema

LM_DATASET = schema(
    "lm_dataset",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("codebook", pa.string(), "the codebook that the units index"),
    field("units", pa.list_(pa.int16()), "reduced units of the utterance"),
    field("labels", pa.list_(pa.string()), "the task's labels, in the order of its label columns"),
    key=("utterance_id",),
    stage="create_lm_dataset",
)

VERBALIZER = schema(
    "verbalizer",
    field("label", pa.string(), "a label of the training split"),
    field("units", pa.list_(pa.int16()), "the units that stand for the label"),
    field("label_count", pa.int64(), "occurrences of the label in the training split", unit="labels"),
    field("unit_count", pa.int64(), "occurrences of the first of these units in the training split", unit="units"),
    key=("label",),
    stage="fit_verbalizer",
)

VERBALIZED = schema(
    "verbalized",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("codebook", pa.string(), "the codebook that the units index"),
    field("units", pa.list_(pa.int16()), "source: reduced units of the utterance"),
    field("target_units", pa.list_(pa.int16()), "target: the units that stand for the labels"),
    field("labels", pa.list_(pa.string()), "the task's labels"),
    key=("utterance_id",),
    stage="apply_verbalizer",
)
