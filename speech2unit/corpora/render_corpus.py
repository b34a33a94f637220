"""The corpus page: classes, speakers, durations, rejected files, equal recordings, and clips to listen to, as one HTML file."""

import base64
import io
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from evaluation.pages import render
from speech2unit.corpora.audio import RULES, read_utterance
from speech2unit.corpora.corpus_template import TEMPLATE
from speech2unit.corpora.remarks import (
    counted,
    duration_text,
    equal_recordings,
    is_contradicting,
    labels_by_column,
    remarks,
    rows_by_split,
    size_lines,
    sizes,
    speaker_hint,
)
from speech2unit.corpora.schemas import MANIFEST, REJECTED
from speech2unit.corpora.splits import SEQUENCE
from storage import tables
from storage.files import atomic

SAMPLE_RATE = 16_000  # Hz, of the clips in the page
NUM_BINS = 12
PARTS = (  # anchor, title
    ("remarks", "What to look at"),
    ("splits", "Splits"),
    ("classes", "Classes"),
    ("speakers", "Speakers"),
    ("durations", "Durations"),
    ("rejected", "Rejected files"),
    ("equal", "Equal recordings"),
    ("clips", "Listen"),
)


def page_content(rows, rejected, corpus, *, max_rows):
    """Return what `TEMPLATE` shows, without the clips.

    Args:
        rows: manifest rows as recorded, in the order of utterance_id.
        rejected: rows of `REJECTED`.
        corpus: row of config/corpora.tsv.
        max_rows: largest number of classes, speakers, files of a reason, and groups of equal recordings.
    """
    label_columns = corpus["label_columns"]
    columns = labels_by_column(rows, label_columns)
    equal = equal_recordings(rows)
    seconds = np.array([_seconds(row) for row in rows])
    content = dict(
        corpus=corpus["corpus"],
        root=corpus["root"],
        splits=list(rows_by_split(rows)),
        summary=size_lines(rows, label_columns).splitlines()[0],
        remarks=list(remarks(rows, rows, label_columns, speaker_hint(corpus))),
        label_columns=list(columns),
        sizes=[size._asdict() | dict(duration=duration_text(size.seconds)) for size in sizes(rows, label_columns)],
        classes={name: class_counts(rows, label_columns, name, max_rows) for name in columns if columns[name]},
        speakers=speaker_counts(rows, max_rows),
        durations=duration_counts(rows),
        durations_summary=(
            f"Shortest {duration_text(seconds.min())}, median {duration_text(np.median(seconds))}, longest {duration_text(seconds.max())}."
        ),
        formats=_formats(rows),
        rejected=rejected_by_reason(rejected, max_rows),
        rejected_summary=f"{len(rejected)} of {counted(len(rows) + len(rejected), 'file')}. rejected.parquet lists all of them.",
        equal=equal[:max_rows],
        equal_summary=(
            f"Recordings that occur more than once: {len(equal)}. With different labels: {sum(map(is_contradicting, equal))}."
        ),
        equal_left_out=_left_out(len(equal) - max_rows, "group", "groups"),
    )
    shown = dict(classes=content["classes"], speakers=content["speakers"]["rows"])
    return content | dict(parts=[part for part in PARTS if shown.get(part[0], True)])


def class_counts(rows, label_columns, name, max_rows):
    """Return the counts of the labels of a column in each split, the most frequent first; see `_counts`."""
    by_split = {split: labels_by_column(part, label_columns).get(name, {}) for split, part in rows_by_split(rows).items()}
    is_sequence = label_columns.endswith(SEQUENCE)
    caption = "How often each label occurs in each split" if is_sequence else "Clips of each label in each split"
    labels = Counter()
    for counts in by_split.values():
        labels.update(counts)
    names = sorted(labels, key=lambda label: (-labels[label], label))
    named_counts = [(label, {split: counts[label] for split, counts in by_split.items() if counts.get(label)}) for label in names]
    return _counts(named_counts, max_rows, "label") | dict(caption=caption, counted="labels" if is_sequence else "clips")


def speaker_counts(rows, max_rows):
    """Return the counts of the clips of each speaker in each split, those with most clips first; see `_counts`."""
    counts = {}
    for row in rows:
        if row["speaker"] is not None:
            counts.setdefault(row["speaker"], Counter())[row["split"]] += 1
    names = sorted(counts, key=lambda speaker: (-counts[speaker].total(), speaker))
    return _counts([(name, counts[name]) for name in names], max_rows, "speaker")


def duration_counts(rows):
    """Return the counts of the clips of each duration in each split, see `_counts`. The bins grow with the duration."""
    seconds = np.array([_seconds(row) for row in rows])
    low, high = float(seconds.min()), float(seconds.max())
    edges = np.geomspace(low, high, NUM_BINS + 1) if high > 1.01 * low else np.array([low, high])
    bins = np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, len(edges) - 2)
    counts = [Counter() for _ in edges[1:]]
    for row, position in zip(rows, bins):
        counts[position][row["split"]] += 1
    names = [f"{_edge(first)} – {_edge(last)} s" if last > first else f"{_edge(first)} s" for first, last in pairwise(edges)]
    return _counts(list(zip(names, counts)), len(names), "duration")


def _edge(seconds):
    """Return a duration with three digits: `0.0312`, `1.25`, `12.5`, `125`."""
    return f"{seconds:.3g}" if seconds < 1000 else f"{seconds:.0f}"


def _counts(named_counts, max_rows, noun):
    """Return rows of names with their counts by split, the largest sum of a row, and a sentence on the rows that are left out."""
    rows = [dict(name=name, counts=counts) for name, counts in named_counts[:max_rows]]
    largest = max((sum(row["counts"].values()) for row in rows), default=1)
    return dict(rows=rows, largest=max(largest, 1), left_out=_left_out(len(named_counts) - max_rows, noun))


def _left_out(number, noun, plural=None):
    """Return a sentence on rows that the page does not show; empty if it shows all."""
    return f"{number:,} more {noun if number == 1 else plural or noun + 's'}." if number > 0 else ""


def _formats(rows):
    """Return a sentence on the sample rates and channels of the files."""
    counts = Counter((row["source_sample_rate"], row["source_channels"]) for row in rows)
    parts = [
        f"{counted(count, 'clip')} with {rate:,} Hz and {counted(channels, 'channel')}"
        for (rate, channels), count in counts.most_common()
    ]
    return f"As recorded: {', '.join(parts)}. The encoder reads mono at {rows[0]['sample_rate']:,} Hz."


def rejected_by_reason(rejected, max_rows):
    """Return the rejected files of each reason, the most frequent reason first."""
    reasons = Counter(row["reason"] for row in rejected)
    return [
        dict(
            name=reason,
            count=count,
            rule=RULES[reason],
            rows=[row for row in rejected if row["reason"] == reason][:max_rows],
            left_out=_left_out(count - max_rows, "file"),
        )
        for reason, count in reasons.most_common()
    ]


def choose_clips(rows, num_clips, seed):
    """Return rows to listen to: in turn one of each label, of a random speaker, until there are `num_clips`.

    Args:
        rows: manifest rows as recorded, in the order of utterance_id.
        num_clips: largest number of clips.
        seed: seed of the choice.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    rows_of_label = {}
    for position in order:
        rows_of_label.setdefault(" ".join(rows[position]["labels"]), []).append(rows[position])
    chosen = []
    for turn in range(num_clips):
        chosen += [rows_of_label[label][turn] for label in sorted(rows_of_label) if turn < len(rows_of_label[label])]
        if len(chosen) >= num_clips:
            break
    return chosen[:num_clips]


def clip_content(row, root, max_seconds):
    """Return what the page shows of a clip, with its first seconds as FLAC in base64."""
    import soundfile

    waveform = read_utterance(Path(root) / row["path"], row, sample_rate=SAMPLE_RATE)
    file = io.BytesIO()
    soundfile.write(file, np.clip(waveform[: round(max_seconds * SAMPLE_RATE)], -1, 1), SAMPLE_RATE, format="FLAC")
    return dict(
        name=row["utterance_id"],
        path=row["path"],
        labels=" ".join(row["labels"]),
        speaker=row["speaker"],
        split=row["split"],
        duration=duration_text(_seconds(row)),
        audio=base64.b64encode(file.getvalue()).decode(),
    )


def _seconds(row):
    return row["num_samples"] / row["sample_rate"]


def render_corpus(*, manifest, rejected, page, corpus, num_clips, max_clip_seconds, max_rows, seed):
    """Stage: write the page of a corpus.

    Args:
        manifest: table of `MANIFEST` of a corpus with audio.
        rejected: table of `REJECTED`.
        page: HTML file to write.
        corpus: row of config/corpora.tsv.
        num_clips: largest number of clips to listen to.
        max_clip_seconds: seconds after which such a clip is cut off.
        max_rows: largest number of classes, speakers, files of a reason, and groups of equal recordings that are shown.
        seed: seed of the choice of clips.

    Raises:
        ValueError: if a recording is not the one that the manifest lists.
    """
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    content = page_content(rows, tables.read(rejected, REJECTED).to_pylist(), corpus, max_rows=max_rows)
    chosen = choose_clips(rows, num_clips, seed)
    clips_summary = (
        f"{len(chosen)} of {counted(len(rows), 'clip')}, as the encoder hears them, each at most {max_clip_seconds:g} s."
    )
    clips = [clip_content(row, corpus["root"], max_clip_seconds) for row in chosen]
    with atomic(page) as temporary:
        temporary.write_text(render(TEMPLATE, content | dict(clips=clips, clips_summary=clips_summary)))
