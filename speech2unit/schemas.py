"""The tables that speech2unit produces: types, units, meanings, keys."""

import pyarrow as pa

from storage.tables import field, schema

FEATURES = schema(
    "features",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("speed", pa.float32(), "as in the manifest; codebooks are fitted on speech as recorded, speed 1"),
    field("num_frames", pa.int32(), "frames T", unit="frames"),
    field("features", pa.list_(pa.float32()), "T × dim values, frame after frame; reshape(T, -1) gives the matrix"),
    key=("utterance_id",),
    stage="extract_features",
)

CENTROIDS = schema(
    "centroids",
    field("unit", pa.int16(), "index of the cluster, from 0"),
    field(
        "centroid",
        pa.list_(pa.float32()),
        "mean of the cluster's frames, in the coordinates of the projection where there is one",
    ),
    field(
        "num_frames",
        pa.int64(),
        "training frames nearest to it (0: a dead unit); null in a published codebook",
        unit="frames",
        nullable=True,
    ),
    key=("unit",),
    stage="fit_codebook",
)

PROJECTION = schema(
    "projection",
    field("component", pa.int16(), "index of the component, from 0, by falling variance"),
    field("vector", pa.list_(pa.float32()), "scaled principal axis over (2 · context_frames + 1) · dim values"),
    field("offset", pa.float64(), "the mean frame's coordinate, which is subtracted"),
    field("variance", pa.float64(), "variance of the training frames along the axis, before scaling"),
    key=("component",),
    stage="fit_codebook",
)

UNITS = schema(
    "units",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("codebook", pa.string(), "the codebook that the units index; joins refuse another one"),
    field("units", pa.list_(pa.int16()), "one unit a frame"),
    key=("utterance_id",),
    stage="assign_units",
)

REDUCED_UNITS = schema(
    "reduced_units",
    field("utterance_id", pa.string(), "as in the manifest"),
    field("split", pa.string(), "train, dev or test"),
    field("codebook", pa.string(), "the codebook that the units index; joins refuse another one"),
    field("units", pa.list_(pa.int16()), "units with runs collapsed: 5 5 9 9 9 → 5 9"),
    field("durations", pa.list_(pa.int16()), "length of each run: 2 3; all 1 where the corpus came without", unit="frames"),
    key=("utterance_id",),
    stage="reduce_units",
)

STATISTICS = schema(
    "statistics",
    field("codebook", pa.string(), "row of config/codebooks.tsv"),
    field("corpus", pa.string(), "row of config/corpora.tsv"),
    field("split", pa.string(), "train, dev or test; without copies at other speeds"),
    field("num_utterances", pa.int64(), "utterances", unit="utterances"),
    field("seconds", pa.float64(), "speech; null where it is unknown, as of published units", unit="s", nullable=True),
    field("num_clusters", pa.int32(), "size of the codebook", unit="units"),
    field("dead_units", pa.int32(), "units of the codebook that do not occur", unit="units"),
    field("num_units", pa.int64(), "reduced units", unit="units"),
    field("entropy", pa.float64(), "of the distribution of reduced units", unit="bit"),
    field("units_per_second", pa.float64(), "reduced units; null without seconds", unit="1/s", nullable=True),
    field("bitrate", pa.float64(), "entropy × reduced units per second; null without seconds", unit="bit/s", nullable=True),
    field("num_frames", pa.int64(), "units before reduction; null without seconds", unit="frames", nullable=True),
    field("frame_entropy", pa.float64(), "of the distribution before reduction; null without seconds", unit="bit", nullable=True),
    field("frame_bitrate", pa.float64(), "that × frames per second; null without seconds", unit="bit/s", nullable=True),
    field("num_labels", pa.int32(), "different labels of utterances; 1 where they have none or a sequence", unit="labels"),
    field(
        "label_purity", pa.float64(), "frames whose label is the most frequent of their unit; null without labels", nullable=True
    ),
    field(
        "cluster_purity",
        pa.float64(),
        "frames whose unit is the most frequent of their label; null without labels",
        nullable=True,
    ),
    field(
        "pnmi", pa.float64(), "mutual information of units and labels / entropy of the labels; null without labels", nullable=True
    ),
    key=("codebook", "corpus", "split"),
    stage="measure_units",
)


COSTS = (
    field("encoder", pa.string(), "row of config/encoders.tsv"),
    field("parent", pa.string(), "the encoder that it is made of; null where there is none", nullable=True),
    field("architecture", pa.string(), "file of speech2unit/encoders/architectures/"),
    field("parameters", pa.int64(), "learned values, those of heads for pre-training too"),
    field("density", pa.float64(), "fraction of them that is not 0"),
    field("multiply_adds", pa.float64(), "of matrix products and convolutions, for a second of speech", unit="1/s"),
    field("real_time_factor", pa.float64(), "median time to encode a second of speech, all layers, one CPU thread", unit="s/s"),
    field("speedup", pa.float64(), "median time of the parent over its own, in turns; 1 without a parent"),
    field("memory_mb", pa.float64(), "peak memory of loading and encoding beyond that of Python and torch", unit="MB"),
    field("file_size_mb", pa.float64(), "size of model.safetensors", unit="MB"),
)
QUALITY = (
    field("corpus", pa.string(), "row of config/corpora.tsv that the columns from here to agreement are of"),
    field("codebook", pa.string(), "the encoder's codebook whose layer and units are judged"),
    field("layer", pa.int32(), "the layer that it clusters; 0 is the front end"),
    field("probe_accuracy", pa.float64(), "of a linear classifier of the label on mean features, on the test split"),
    field("num_test_rows", pa.int64(), "utterances of the test split", unit="rows"),
    field("purity", pa.float64(), "fraction of frames whose class is the most frequent one of their unit"),
    field("pnmi", pa.float64(), "fraction of the classes' entropy that the units explain"),
    field("agreement", pa.float64(), "adjusted mutual information with the units of the parent, of the same frames"),
)

MEASUREMENTS = schema("measurements", *COSTS, key=("encoder",), stage="measure_encoders")

PROBE = schema("probe", COSTS[0], *QUALITY, key=("encoder",), stage="probe_encoder")
