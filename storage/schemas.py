"""The tables that several packages produce, and the names of the splits."""

import pyarrow as pa

from storage.tables import field, schema

SPLITS = ("train", "dev", "test")


TRAINING = schema(
    "training",
    field("seed", pa.int32(), "seed of the run"),
    field("update", pa.int32(), "optimiser updates done", unit="updates"),
    field("split", pa.string(), "train (mean since the last row) or dev"),
    field("measure", pa.string(), "loss, accuracy, …"),
    field("value", pa.float64(), "loss in nats a target, accuracy as a fraction"),
    field("seconds", pa.float64(), "since training began", unit="s"),
    key=("seed", "update", "split", "measure"),
    stage="pretrain_melhubert",
)


LOAD_REPORT = schema(
    "load_report",
    field("source", pa.string(), "tensor of the published checkpoint"),
    field("name", pa.string(), "the tensor of ours that it became; empty where it is left out"),
    field("shape", pa.list_(pa.int64()), "its sizes in the checkpoint"),
    field("dtype", pa.string(), "its type in the checkpoint, such as float16"),
    key=("source", "name"),
    stage="convert_encoder",
)
