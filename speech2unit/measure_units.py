"""What the units of a corpus under a codebook carry: bits per second, units that never occur, what they tell about the labels."""

from collections import Counter, defaultdict

import numpy as np

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import SEQUENCE
from speech2unit.schemas import REDUCED_UNITS, STATISTICS
from storage import tables
from storage.schemas import SPLITS


def entropy_bits(counts):
    """Entropy of the distribution that counts `[K]` show, in bits."""
    from scipy.stats import entropy

    return float(entropy(counts[counts > 0], base=2))


def label_measures(counts):
    """Label purity, cluster purity and PNMI from joint counts `[K, L]` of units and labels; null for fewer than two labels.

    Label purity: how much of a unit is its most frequent label; cluster purity: how much of a label is its most frequent
    unit; PNMI: the share of the labels' entropy that the units take away.
    **Source:** HuBERT, arXiv 2106.07447, on the quality of cluster assignments.
    """
    from sklearn.metrics import mutual_info_score

    labels = counts.sum(0)
    if (labels > 0).sum() < 2:
        return dict(label_purity=None, cluster_purity=None, pnmi=None)
    joint = counts / counts.sum()
    information = mutual_info_score(None, None, contingency=counts) / np.log(2)
    return dict(
        label_purity=float(joint.max(1).sum()), cluster_purity=float(joint.max(0).sum()), pnmi=information / entropy_bits(labels)
    )


def unit_measures(runs, frames, seconds):
    """Columns of `STATISTICS` from joint counts `[K, L]` of units and labels, in runs and in frames, of `seconds` of speech.

    A bitrate is the entropy of a unit × units per second, as if each came alone. `seconds` 0: durations are unknown, so that
    runs stand for frames. **Source:** ZeroSpeech 2019, arXiv 1904.11469, section 3.3.
    """
    by_unit, by_frame = runs.sum(1), frames.sum(1)
    found = dict(
        num_units=int(by_unit.sum()),
        dead_units=int((by_unit == 0).sum()),
        entropy=entropy_bits(by_unit),
        num_labels=runs.shape[1],
    )
    timed = dict.fromkeys(("num_frames", "frame_entropy", "units_per_second", "bitrate", "frame_bitrate"))
    if seconds:
        frame_entropy = entropy_bits(by_frame)
        timed = dict(
            num_frames=int(by_frame.sum()),
            frame_entropy=frame_entropy,
            units_per_second=found["num_units"] / seconds,
            bitrate=found["entropy"] * found["num_units"] / seconds,
            frame_bitrate=frame_entropy * int(by_frame.sum()) / seconds,
        )
    return found | timed | label_measures(frames)


def joint_counts(batches, label_of, shape):
    """Split → joint counts `[2, K, L]` of units and labels, in runs and in frames, over record batches of `REDUCED_UNITS`.

    label_of: utterance → index of its label; others are left out.
    """
    counts = defaultdict(lambda: np.zeros((2, *shape), np.int64))
    for batch in batches:
        for row in batch.to_pylist():
            if row["utterance_id"] in label_of:
                cells = label_of[row["utterance_id"]], np.array(row["units"], int)
                np.add.at(counts[row["split"]][0, :, cells[0]], cells[1], 1)
                np.add.at(counts[row["split"]][1, :, cells[0]], cells[1], row["durations"])
    return counts


def measure_units(*, reduced_units, manifest, statistics, codebook, corpus, num_clusters, label_columns):
    """Stage: a row for each split, without the copies at other speeds. See `STATISTICS`.

    A frame has the labels of its utterance, all `label_columns` together; where they are a sequence it has none.
    """
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    said = {row["utterance_id"]: () if label_columns.endswith(SEQUENCE) else tuple(row["labels"]) for row in rows}
    labels = {label: i for i, label in enumerate(sorted(set(said.values())))}
    seconds, utterances = Counter(), Counter(row["split"] for row in rows)
    for row in rows:
        seconds[row["split"]] += row["num_samples"] / row["sample_rate"] if row["sample_rate"] else 0
    known = {name: labels[label] for name, label in said.items()}
    counts = joint_counts(tables.stream(reduced_units, REDUCED_UNITS), known, (num_clusters, len(labels)))
    same = dict(codebook=codebook, corpus=corpus, num_clusters=num_clusters)
    found = [
        dict(same, split=split, num_utterances=utterances[split], seconds=seconds[split] or None)
        | unit_measures(*counts[split], seconds[split])
        for split in SPLITS
        if split in counts
    ]
    tables.write(statistics, found, STATISTICS)
