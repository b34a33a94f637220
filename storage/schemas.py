"""Tables that several packages produce, and the names of the splits."""

import pyarrow as pa

from storage.tables import field, schema

SPLITS = ("train", "dev", "test")


TRAINING = schema(
    "training",
    field("seed", pa.int32(), "seed of the run"),
    field("update", pa.int32(), "number of optimizer updates so far", unit="updates"),
    field("split", pa.string(), "train (mean since the last row) or dev"),
    field("measure", pa.string(), "name of the measure: loss, accuracy, …"),
    field("value", pa.float64(), "loss in nats per target; accuracy as a fraction"),
    field("seconds", pa.float64(), "time since this seed began; one seed is trained after the other", unit="s"),
    key=("seed", "update", "split", "measure"),
    stage="pretrain_melhubert",
)


LOAD_REPORT = schema(
    "load_report",
    field("source", pa.string(), "name of the tensor in the published checkpoint"),
    field("name", pa.string(), "name of our tensor that it became; empty if it is left out"),
    field("shape", pa.list_(pa.int64()), "its shape in the checkpoint"),
    field("dtype", pa.string(), "its type in the checkpoint, such as float16"),
    key=("source", "name"),
    stage="convert_encoder",
)
