"""The tables that speech2unit produces: types, units and meanings of the columns, and keys."""

import pyarrow as pa

from storage.tables import field, schema

UTTERANCE = field("utterance_id", pa.string(), "name of the utterance, as in the manifest")
SPLIT = field("split", pa.string(), "train, dev or test")
CODEBOOK = field("codebook", pa.string(), "codebook that the units index; joining tables of different codebooks is an error")

FEATURES = schema(
    "features",
    UTTERANCE,
    SPLIT,
    field("speed", pa.float32(), "speed factor, as in the manifest; codebooks are fitted on speed 1 only"),
    field("num_frames", pa.int32(), "number of frames T", unit="frames"),
    field("features", pa.list_(pa.float32()), "T × dim values, frame after frame; reshape(T, -1) gives the matrix"),
    key=("utterance_id",),
    stage="extract_features",
)

CENTROIDS = schema(
    "centroids",
    field("unit", pa.int16(), "index of the cluster, from 0"),
    field("centroid", pa.list_(pa.float32()), "mean of the cluster's frames, after the projection if there is one"),
    field(
        "num_frames",
        pa.int64(),
        "training frames nearest to the centroid; 0 for a dead unit, null in a published codebook",
        unit="frames",
        nullable=True,
    ),
    key=("unit",),
    stage="fit_codebook",
)

PROJECTION = schema(
    "projection",
    field("component", pa.int16(), "index of the component, from 0, by falling variance"),
    field("vector", pa.list_(pa.float32()), "scaled principal axis, with (2 · context_frames + 1) · dim values"),
    field("offset", pa.float64(), "coordinate of the mean frame, which is subtracted"),
    field("variance", pa.float64(), "variance of the training frames along the axis, before scaling"),
    key=("component",),
    stage="fit_codebook",
)

UNITS = schema(
    "units",
    UTTERANCE,
    SPLIT,
    CODEBOOK,
    field("units", pa.list_(pa.int16()), "one unit per frame"),
    key=("utterance_id",),
    stage="assign_units",
)

ENCODED_UNITS = schema(
    "encoded_units",
    UTTERANCE,
    SPLIT,
    CODEBOOK,
    field("units", pa.list_(pa.int16()), "one unit per frame"),
    key=("utterance_id", "codebook"),
    stage="encode_shard",
)

REDUCED_UNITS = schema(
    "reduced_units",
    UTTERANCE,
    SPLIT,
    CODEBOOK,
    field("units", pa.list_(pa.int16()), "units with runs collapsed: 5 5 9 9 9 → 5 9"),
    field(
        "durations",
        pa.list_(pa.int16()),
        "length of each run: 2 3; all 1 if the corpus was published without durations",
        unit="frames",
    ),
    key=("utterance_id",),
    stage="reduce_units",
)

STATISTICS = schema(
    "statistics",
    field("codebook", pa.string(), "row of config/codebooks.tsv"),
    field("corpus", pa.string(), "row of config/corpora.tsv"),
    field("split", pa.string(), "train, dev or test; copies at other speeds do not count"),
    field("num_utterances", pa.int64(), "number of utterances", unit="utterances"),
    field(
        "seconds",
        pa.float64(),
        "duration of the speech; null where it is unknown, as for published units",
        unit="s",
        nullable=True,
    ),
    field("num_clusters", pa.int32(), "size of the codebook", unit="units"),
    field("dead_units", pa.int32(), "units of the codebook that never occur", unit="units"),
    field("num_units", pa.int64(), "number of reduced units", unit="units"),
    field("entropy", pa.float64(), "entropy of the distribution of reduced units", unit="bit"),
    field("units_per_second", pa.float64(), "reduced units per second; null without seconds", unit="1/s", nullable=True),
    field("bitrate", pa.float64(), "entropy × reduced units per second; null without seconds", unit="bit/s", nullable=True),
    field("num_frames", pa.int64(), "units before reduction, one per frame; null without seconds", unit="frames", nullable=True),
    field(
        "frame_entropy",
        pa.float64(),
        "entropy of the distribution of units before reduction; null without seconds",
        unit="bit",
        nullable=True,
    ),
    field("frame_bitrate", pa.float64(), "frame_entropy × frames per second; null without seconds", unit="bit/s", nullable=True),
    field(
        "num_labels",
        pa.int32(),
        "number of different labels of utterances; 1 where utterances have no label or a sequence",
        unit="labels",
    ),
    field(
        "label_purity",
        pa.float64(),
        "fraction of frames whose label is the most frequent one of their unit; null without labels",
        nullable=True,
    ),
    field(
        "cluster_purity",
        pa.float64(),
        "fraction of frames whose unit is the most frequent one of their label; null without labels",
        nullable=True,
    ),
    field(
        "pnmi",
        pa.float64(),
        "phone-normalized mutual information: fraction of the labels' entropy that the units explain; null without labels",
        nullable=True,
    ),
    key=("codebook", "corpus", "split"),
    stage="measure_units",
)


COSTS = (
    field("encoder", pa.string(), "row of config/encoders.tsv"),
    field("parent", pa.string(), "encoder that this one was made from; null if there is none", nullable=True),
    field("architecture", pa.string(), "file of speech2unit/encoders/architectures/"),
    field("parameters", pa.int64(), "number of learned values, including heads for pre-training"),
    field("density", pa.float64(), "fraction of the parameters that are not 0"),
    field("multiply_adds", pa.float64(), "multiply-adds of matrix products and convolutions per second of speech", unit="1/s"),
    field(
        "real_time_factor",
        pa.float64(),
        "median time to encode one second of speech, all layers, on one CPU thread",
        unit="s/s",
    ),
    field("speedup", pa.float64(), "median time of the parent / median time of the encoder; 1 without a parent"),
    field("memory_mb", pa.float64(), "peak memory of loading and encoding, beyond that of Python and torch", unit="MB"),
    field("file_size_mb", pa.float64(), "size of model.safetensors", unit="MB"),
)
QUALITY = (
    field("corpus", pa.string(), "row of config/corpora.tsv on which the columns up to agreement are measured"),
    field("codebook", pa.string(), "codebook of the encoder, whose layer and units are measured"),
    field("layer", pa.int32(), "layer that the codebook clusters; 0 is the front end"),
    field(
        "probe_accuracy",
        pa.float64(),
        "accuracy on the test split of a linear classifier that predicts the label from mean features",
    ),
    field("num_test_rows", pa.int64(), "utterances of the test split", unit="rows"),
    field("purity", pa.float64(), "fraction of frames whose class is the most frequent one of their unit"),
    field("pnmi", pa.float64(), "fraction of the classes' entropy that the units explain"),
    field("agreement", pa.float64(), "adjusted mutual information with the parent's units of the same frames"),
)

MEASUREMENTS = schema("measurements", *COSTS, key=("encoder",), stage="measure_encoders")

PROBE = schema("probe", COSTS[0], *QUALITY, key=("encoder",), stage="probe_encoder")
