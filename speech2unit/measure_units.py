"""Measure the units of a corpus: their bitrate, how many units never occur, and how well units match the labels."""

from collections import Counter, defaultdict

import numpy as np

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.corpora.splits import SEQUENCE
from speech2unit.schemas import REDUCED_UNITS, STATISTICS
from speech2unit.unit_quality import entropy_bits, pnmi, purity
from storage import tables
from storage.schemas import SPLITS


def label_measures(counts):
    """Return label purity, cluster purity and PNMI from joint counts `[K, L]`; all are None if fewer than two labels occur."""
    if (counts.sum(0) > 0).sum() < 2:
        return dict(label_purity=None, cluster_purity=None, pnmi=None)
    return dict(label_purity=purity(counts), cluster_purity=purity(counts.T), pnmi=pnmi(counts))


def unit_measures(run_counts, frame_counts, seconds):
    """Return the columns of `STATISTICS` that are computed from counts.

    The bitrate is the entropy of a single unit times the number of units per second. It treats units as independent of each
    other.

    Args:
        run_counts: joint counts `[K, L]` of K units and L labels, in which a run of equal units counts once.
        frame_counts: joint counts `[K, L]` in which every frame counts.
        seconds: duration of the speech; 0: unknown, and then the durations of the units are unknown too.

    **Source:** ZeroSpeech 2019, arXiv 1904.11469, section 3.3.
    """
    unit_counts = run_counts.sum(1)
    num_units = int(unit_counts.sum())
    entropy = entropy_bits(unit_counts)
    measures = dict(
        num_units=num_units,
        dead_units=int((unit_counts == 0).sum()),
        entropy=entropy,
        num_labels=run_counts.shape[1],
    )
    timed = dict.fromkeys(("num_frames", "frame_entropy", "units_per_second", "bitrate", "frame_bitrate"))
    if seconds:
        num_frames = int(frame_counts.sum())
        frame_entropy = entropy_bits(frame_counts.sum(1))
        timed = dict(
            num_frames=num_frames,
            frame_entropy=frame_entropy,
            units_per_second=num_units / seconds,
            bitrate=entropy * num_units / seconds,
            frame_bitrate=frame_entropy * num_frames / seconds,
        )
    return measures | timed | label_measures(frame_counts)


def joint_counts(batches, label_index, num_units, num_labels):
    """Count how often units and labels occur together.

    Args:
        batches: record batches of `REDUCED_UNITS`.
        label_index: dict from utterance_id to the index of its label. Other utterances are left out.
        num_units: number of units K.
        num_labels: number of labels L.

    Returns:
        A dict from each split to an array `[2, K, L]`: the counts of runs, then the counts of frames.
    """
    counts = defaultdict(lambda: np.zeros((2, num_units, num_labels), np.int64))
    for batch in batches:
        for row in batch.to_pylist():
            if row["utterance_id"] in label_index:
                label = label_index[row["utterance_id"]]
                units = np.array(row["units"], int)
                run_counts, frame_counts = counts[row["split"]]
                np.add.at(run_counts[:, label], units, 1)
                np.add.at(frame_counts[:, label], units, row["durations"])
    return counts


def measure_units(*, reduced_units, manifest, statistics, codebook, corpus, num_clusters, label_columns):
    """Stage: write one row of measures for each split. See `STATISTICS`. Copies at other speeds are left out.

    The label of a frame is that of its utterance, all `label_columns` together. If the labels are a sequence, frames have no
    label.

    Args:
        reduced_units: table of `REDUCED_UNITS`.
        manifest: table of `MANIFEST` of the corpus.
        statistics: table of `STATISTICS` to write.
        codebook: name of the codebook.
        corpus: name of the corpus.
        num_clusters: size of the codebook.
        label_columns: cell of config/corpora.tsv, the comma-separated names of the label columns; `name[]` is a sequence.
    """
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    has_sequences = label_columns.endswith(SEQUENCE)
    labels = {row["utterance_id"]: () if has_sequences else tuple(row["labels"]) for row in rows}
    numbers = {label: number for number, label in enumerate(sorted(set(labels.values())))}
    label_index = {utterance_id: numbers[label] for utterance_id, label in labels.items()}
    num_utterances = Counter(row["split"] for row in rows)
    seconds = Counter()
    for row in rows:
        seconds[row["split"]] += row["num_samples"] / row["sample_rate"] if row["sample_rate"] else 0
    counts = joint_counts(tables.stream(reduced_units, REDUCED_UNITS), label_index, num_clusters, len(numbers))
    statistics_rows = []
    for split in SPLITS:
        if split in counts:
            row = dict(codebook=codebook, corpus=corpus, num_clusters=num_clusters, split=split)
            row |= dict(num_utterances=num_utterances[split], seconds=seconds[split] or None)
            statistics_rows.append(row | unit_measures(*counts[split], seconds[split]))
    tables.write(statistics, statistics_rows, STATISTICS)
