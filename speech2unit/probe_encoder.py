"""Probe an encoder: measure how well its features separate labels, and how well its units match labels and its parent's units."""

import numpy as np

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import FEATURES, PROBE, UNITS
from speech2unit.unit_quality import pnmi, purity
from storage import tables
from storage.errors import data_error


def segment_indices(num_frames, num_segments):
    """Return the number of each frame's segment, `[num_frames]`. Segments are equally long: 5 frames, 2 segments → 0 0 0 1 1."""
    return np.arange(num_frames) * num_segments // num_frames


def pool_segments(frames, num_segments):
    """Divide an utterance into segments of equal length, and return the means of their frames as one vector.

    Args:
        frames: features `[T, D]`. If T is smaller than the number of segments, segments share frames.
        num_segments: number of segments S.

    Returns:
        Array `[S · D]`, the concatenated means.
    """
    starts = np.arange(num_segments) * len(frames) // num_segments
    ends = np.maximum((np.arange(num_segments) + 1) * len(frames) // num_segments, starts + 1)
    return np.concatenate([frames[start:end].mean(0) for start, end in zip(starts, ends)])


def probe_accuracy(vectors, labels, splits, regularisation):
    """Return the accuracy on the test split of a logistic regression that is fitted on the training split.

    Args:
        vectors: features `[N, D]`, one row per utterance.
        labels: array `[N]`.
        splits: array `[N]` of `train`, `dev` and `test`.
        regularisation: inverse strength C of the L2 regularization.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = splits == "train"
    test = splits == "test"
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000))
    return float(classifier.fit(vectors[train], labels[train]).score(vectors[test], labels[test]))


def resample_units(units, num_frames):
    """Return units `[T]` at another frame rate, `[num_frames]`: for each new frame, the unit at its middle."""
    return units[((np.arange(num_frames) + 0.5) * len(units) / num_frames).astype(int)]


def read_labels(manifest, label):
    """Return a dict from utterance_id to (split, label), without copies at other speeds.

    Args:
        manifest: path of the manifest.
        label: position of the label column.

    Raises:
        ValueError: if train or test has no utterance with a label, or all labels are the same.
    """
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    labelled = {row["utterance_id"]: (row["split"], row["labels"][label]) for row in rows if len(row["labels"]) > label}
    splits = {split for split, _ in labelled.values()}
    labels = {name for _, name in labelled.values()}
    if not {"train", "test"} <= splits or len(labels) < 2:
        raise data_error(
            manifest,
            "a probe needs different labels in train and test",
            expected="several labels in train and test",
            got=f"{len(labelled)} of {len(rows)} utterances with a label",
            remedy="choose another corpus for probe_encoder in config/config.yaml",
        )
    return labelled


def read_units(path, names):
    """Return a dict from utterance_id to units `[T]`, of the utterances in `names`."""
    table = tables.read(path, UNITS, ["utterance_id", "units"])
    columns = zip(table["utterance_id"].to_pylist(), table["units"])
    return {name: units.values.to_numpy() for name, units in columns if name in names}


def read_pooled_features(paths, names, num_segments):
    """Return a dict from utterance_id to the result of `pool_segments`, of the utterances in `names`."""
    pooled = {}
    for path in paths:
        for batch in tables.stream(path, FEATURES, ["utterance_id", "num_frames", "features"]):
            columns = zip(batch["utterance_id"].to_pylist(), batch["num_frames"].to_pylist(), batch["features"])
            for name, num_frames, values in columns:
                if name in names:
                    frames = values.values.to_numpy().reshape(num_frames, -1)
                    pooled[name] = pool_segments(frames, num_segments)
    return pooled


def probe_encoder(
    *,
    manifest,
    features,
    units,
    parent_units,
    probe,
    encoder,
    corpus,
    corpus_labels,
    codebook,
    layer,
    label,
    num_segments,
    regularisation,
):
    """Stage: compare features of one layer and units of one codebook with labels and with the units of the parent. See `PROBE`.

    The class of a frame is a pair: the label of its utterance, and the number of the frame's segment. If labels are words, this
    is roughly a phone of the word.

    Args:
        manifest: table of `MANIFEST` of the corpus.
        features: tables of `FEATURES` of the layer, all shards of the corpus.
        units: table of `UNITS` of the codebook.
        parent_units: table of `UNITS` of the parent's codebook; `units` itself if the encoder has no parent.
        probe: table of `PROBE` to write.
        encoder: name of the encoder.
        corpus: name of the corpus.
        corpus_labels: names of the corpus's label columns.
        codebook: name of the codebook.
        layer: layer of the encoder that the codebook clusters.
        label: name of the label column to probe.
        num_segments: number of segments of an utterance.
        regularisation: inverse strength C of the L2 regularization of the logistic regression.

    Raises:
        ValueError: if train or test has no utterance with a label, or all labels are the same.
    """
    from sklearn.metrics import adjusted_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    labelled = read_labels(manifest, corpus_labels.index(label))
    units_of = read_units(units, labelled)
    parent_units_of = read_units(parent_units, labelled)
    vectors_of = read_pooled_features(features, labelled, num_segments)
    names = sorted(labelled)
    splits = np.array([labelled[name][0] for name in names])
    labels = np.array([labelled[name][1] for name in names])
    frame_units = np.concatenate([units_of[name] for name in names])
    frame_parent_units = np.concatenate([resample_units(parent_units_of[name], len(units_of[name])) for name in names])
    classes = []
    for name, utterance_label in zip(names, labels):
        classes += [f"{utterance_label} {segment}" for segment in segment_indices(len(units_of[name]), num_segments)]
    counts = contingency_matrix(frame_units, classes)
    row = dict(
        encoder=encoder,
        corpus=corpus,
        codebook=codebook,
        layer=layer,
        num_test_rows=int((splits == "test").sum()),
        probe_accuracy=probe_accuracy(np.stack([vectors_of[name] for name in names]), labels, splits, regularisation),
        purity=purity(counts),
        pnmi=pnmi(counts),
        agreement=float(adjusted_mutual_info_score(frame_parent_units, frame_units)),
    )
    tables.write(probe, [row], PROBE)
