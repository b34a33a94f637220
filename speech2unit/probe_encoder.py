"""What an encoder's features and units know: a linear probe of the label, units against classes, units against the parent's."""

import numpy as np

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import FEATURES, PROBE, UNITS
from storage import tables
from storage.errors import data_error


def segment_indices(num_frames, num_segments):
    """Index `[num_frames]` of the segment that each frame lies in: 5 frames, 2 segments → 0 0 0 1 1."""
    return np.arange(num_frames) * num_segments // num_frames


def pool_segments(frames, num_segments):
    """Frames `[T, D]` → mean of each of `num_segments` equal segments, one behind the other `[num_segments · D]`.

    Of fewer frames than segments, those nearest to each are taken.
    """
    starts = np.arange(num_segments) * len(frames) // num_segments
    ends = np.maximum((np.arange(num_segments) + 1) * len(frames) // num_segments, starts + 1)
    return np.concatenate([frames[start:end].mean(0) for start, end in zip(starts, ends)])


def probe_accuracy(pooled_features, labels, splits, regularisation):
    """Accuracy on the test split of a logistic regression that was fitted on the training split. `[N, D]`, `[N]`, `[N]`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = splits == "train", splits == "test"
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000))
    return float(classifier.fit(pooled_features[train], labels[train]).score(pooled_features[test], labels[test]))


def purity(units, classes):
    """Fraction of frames whose class is the most frequent one of their unit. **Source:** HuBERT, arXiv 2106.07447, section IV-D."""
    from sklearn.metrics.cluster import contingency_matrix

    return float(contingency_matrix(classes, units).max(0).sum() / len(units))


def pnmi(units, classes):
    """Mutual information of units and classes over the entropy of the classes. **Source:** as `purity`."""
    from sklearn.metrics import mutual_info_score

    return float(mutual_info_score(classes, units) / mutual_info_score(classes, classes))


def resample_units(units, num_frames):
    """Units `[T]` at another frame rate → `[num_frames]`: of each frame's middle."""
    return units[((np.arange(num_frames) + 0.5) * len(units) / num_frames).astype(int)]


def recorded(manifest, label):
    """utterance_id → (split, its label at position `label`) of the utterances as recorded. Raises `ValueError` without labels."""
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    found = {row["utterance_id"]: (row["split"], row["labels"][label]) for row in rows if len(row["labels"]) > label}
    if not {"train", "test"} <= {split for split, _ in found.values()} or len({name for _, name in found.values()}) < 2:
        raise data_error(
            manifest,
            "a probe needs labels to tell apart, to train and to test on",
            expected="several labels in train and test",
            got=f"{len(found)} of {len(rows)} utterances with a label",
            remedy="take another corpus for probe_encoder in config/config.yaml",
        )
    return found


def units_of(paths, names):
    """utterance_id → units `[T]` of the utterances in `names`."""
    found = tables.read(paths, UNITS, ["utterance_id", "units"])
    return {n: u.values.to_numpy() for n, u in zip(found["utterance_id"].to_pylist(), found["units"]) if n in names}


def features_of(paths, names, num_segments):
    """utterance_id → `pooled` features of the utterances in `names`."""
    found = {}
    for path in paths:
        for batch in tables.stream(path, FEATURES, ["utterance_id", "num_frames", "features"], batch_rows=256):
            about = zip(batch["utterance_id"].to_pylist(), batch["num_frames"].to_pylist())
            for (name, num_frames), values in zip(about, batch["features"]):
                if name in names:
                    found[name] = pool_segments(values.values.to_numpy().reshape(num_frames, -1), num_segments)
    return found


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
    """Stage: features of one layer and units of one codebook against `label`, one of `corpus_labels`. See `PROBE`.

    The class of a frame is the label and the segment of the utterance that it lies in: about what a phone is in a word.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    said = recorded(manifest, corpus_labels.index(label))
    own, parents = units_of(units, said), units_of(parent_units, said)
    names = sorted(said)
    frames = np.concatenate([own[name] for name in names])
    classes = np.concatenate([[f"{said[n][1]} {i}" for i in segment_indices(len(own[n]), num_segments)] for n in names])
    reference = np.concatenate([resample_units(parents[name], len(own[name])) for name in names])
    vectors = features_of(features, said, num_segments)
    splits, labels = (np.array([said[name][i] for name in names]) for i in range(2))
    row = dict(
        encoder=encoder,
        corpus=corpus,
        codebook=codebook,
        layer=layer,
        num_test_rows=int((splits == "test").sum()),
        probe_accuracy=probe_accuracy(np.stack([vectors[name] for name in names]), labels, splits, regularisation),
        purity=purity(frames, classes),
        pnmi=pnmi(frames, classes),
        agreement=float(adjusted_mutual_info_score(reference, frames)),
    )
    tables.write(probe, [row], PROBE)
