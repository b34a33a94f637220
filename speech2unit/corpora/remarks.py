"""What the rows of a manifest hold, and what is odd about them though it is allowed, in words for the terminal and for the corpus page."""

from collections import Counter, defaultdict
from typing import NamedTuple

from evaluation.intervals import wilson_interval
from speech2unit.corpora.splits import SEQUENCE
from storage.schemas import SPLITS
from storage.text import look_alikes

MAX_SHOWN = 5
FEW_CLIPS = 100  # a test with fewer has an interval of more than ±10 points where half of the answers are right
MANY_SPEAKERS = 0.9  # speakers per clip from which on nearly every clip has a speaker of its own
MIN_CLIPS_FOR_SPEAKERS = 10  # with fewer clips, a speaker for each is nothing unusual


class Size(NamedTuple):
    """What a split holds, or a corpus."""

    split: str  # empty for the whole corpus
    num_clips: int
    num_speakers: int
    num_unknown: int  # clips without a speaker
    num_labels: dict  # label column → number of different labels
    seconds: float  # 0 for units without audio


def sizes(rows, label_columns):
    """Return the `Size` of the corpus and of each split that has rows.

    Args:
        rows: manifest rows as recorded.
        label_columns: the cell of config/corpora.tsv.
    """
    return [_size("", rows, label_columns), *(_size(split, part, label_columns) for split, part in rows_by_split(rows).items())]


def rows_by_split(rows):
    """Return split → its rows, in the order of `SPLITS`, without splits that have none."""
    by_split = {split: [row for row in rows if row["split"] == split] for split in SPLITS}
    return {split: part for split, part in by_split.items() if part}


def _size(split, rows, label_columns):
    """Return the `Size` of some rows."""
    return Size(
        split=split,
        num_clips=len(rows),
        num_speakers=len({row["speaker"] for row in rows} - {None}),
        num_unknown=sum(row["speaker"] is None for row in rows),
        num_labels={name: len(labels) for name, labels in labels_by_column(rows, label_columns).items()},
        seconds=sum(row["num_samples"] / row["sample_rate"] for row in rows if row["sample_rate"]),
    )


def size_lines(rows, label_columns, num_copies=0, notes=()):
    """Return what the corpus and its splits hold, as text: a line for the whole and an indented one for each split.

    Args:
        rows, label_columns: as for `sizes`.
        num_copies: number of copies at other speeds, which are in train.
        notes: dict from a split to a note on it.
    """
    whole, *splits = sizes(rows, label_columns)
    table = [[size.split, *_size_parts(size)] for size in splits]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))] if table else []
    lines = [", ".join(filter(None, _size_parts(whole)))]
    for split, *parts in table:
        texts = [part.rjust(width) for part, width in zip(parts, widths[1:]) if width]
        texts += [f"and {counted(num_copies, 'speed copy', 'speed copies')}"] if num_copies and split == "train" else []
        texts += [notes[split]] if split in notes else []
        lines.append(f"  {split.ljust(widths[0])}  {', '.join(texts)}")
    return "\n".join(lines)


def _size_parts(size):
    """Return a `Size` as texts: clips, speakers, labels, duration."""
    speakers = counted(size.num_speakers, "speaker") if size.num_speakers else "speakers unknown"
    if size.num_speakers and size.num_unknown:
        speakers += f" ({counted(size.num_unknown, 'clip')} of unknown ones)"
    only_column = len(size.num_labels) == 1
    labels = [counted(number, "label") + ("" if only_column else f" of {name}") for name, number in size.num_labels.items()]
    return [counted(size.num_clips, "clip"), speakers, ", ".join(labels), duration_text(size.seconds) if size.seconds else ""]


def counted(number, noun, plural=None):
    """Return a number with its noun: `1 clip`, `2 clips`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration_text(seconds):
    """Return a duration in a unit that suits it: `4.2 s`, `12.5 min`, `3.1 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def speaker_hint(corpus):
    """Return where the speakers of a corpus come from and how to correct them; `corpus` is its row of config/corpora.tsv."""
    if corpus["adapter"] == "folders" and not corpus["speaker_pattern"]:
        return (
            "the adapter folders takes a file name up to its first _ for the speaker; if names have no such part, write a regular "
            "expression that finds the speaker into `speaker_pattern` of the row in config/corpora.tsv"
        )
    if corpus["adapter"] == "folders":
        return "correct `speaker_pattern` of the row in config/corpora.tsv"
    if corpus["adapter"] == "table":
        return (
            f"if the column '{corpus['speaker_column']}' does not name speakers, write another `speaker_column` or leave it empty"
        )
    return "the corpus names them so"


def remarks(listed, rows, label_columns, hint=""):
    """Yield one sentence for each thing that a user should look at.

    Names that differ in capitals alone; labels without usable recordings; labels that dev or test lacks; a speaker for nearly
    every clip; a test that is too small; equal audio, and with contradicting labels.

    Args:
        listed: the rows of the adapter.
        rows: the usable ones of them, as rows of the manifest as recorded.
        label_columns: the cell of config/corpora.tsv.
        hint: the result of `speaker_hint`.
    """
    for group in look_alikes({row["speaker"] for row in rows} - {None}):
        yield f"the speakers {_quoted(group)} look alike, and count as {len(group)}"
    labels_of_split = {split: labels_by_column(part, label_columns) for split, part in rows_by_split(rows).items()}
    for name, labels in labels_by_column(rows, label_columns).items():
        for group in look_alikes(labels):
            yield f"the labels {_quoted(group)} of {name} look alike, and count as {len(group)}"
        unusable = labels_by_column(listed, label_columns)[name].keys() - labels
        if unusable:
            yield f"{len(unusable)} labels of {name} have no usable recording: {_quoted(unusable)}"
        for split in SPLITS[1:]:
            in_split = labels_of_split.get(split, {}).get(name)
            if in_split and (lacking := labels.keys() - in_split):
                yield f"{split} lacks {len(lacking)} of {len(labels)} labels of {name}: {_quoted(lacking)}"
    yield from _own_speakers(rows, hint)
    yield from _small_test(rows)
    yield from _equal_audio(rows)


def _own_speakers(rows, hint):
    """Yield a sentence if nearly every clip has a speaker of its own, because then no speaker can be found in two splits."""
    clips_of_speaker = Counter(row["speaker"] for row in rows if row["speaker"] is not None)
    if clips_of_speaker.total() >= MIN_CLIPS_FOR_SPEAKERS and len(clips_of_speaker) >= MANY_SPEAKERS * clips_of_speaker.total():
        names = _quoted(clips_of_speaker, 3)
        yield (
            f"{len(clips_of_speaker)} speakers for {clips_of_speaker.total()} clips, such as {names}: if these are not different "
            f"people, one person may be in train and in test; {hint}"
        )


def _small_test(rows):
    """Yield sentences if a score on the test split will say little."""
    test = [row for row in rows if row["split"] == "test"]
    if not any(row["labels"] for row in test):
        return
    if len(test) < FEW_CLIPS:
        low, high = wilson_interval(len(test) / 2, len(test))
        yield (
            f"test has only {counted(len(test), 'clip')}: an accuracy of 50 % would have the 95 % interval {100 * low:.0f} to "
            f"{100 * high:.0f} %, and differences within it mean nothing"
        )
    speakers = {row["speaker"] for row in test}
    if len(speakers) == 1 and speakers != {None}:
        yield f"test has a single speaker, {_quoted(speakers)}: its score says nothing about other people"


def _equal_audio(rows):
    """Yield sentences about recordings that occur more than once."""
    repeated = equal_recordings(rows)
    if repeated:
        names = " = ".join(ascii(row["utterance_id"]) for row in repeated[0][:MAX_SHOWN])
        yield f"{counted(len(repeated), 'recording occurs', 'recordings occur')} more than once, such as {names}"
    contradicting = [group for group in repeated if is_contradicting(group)]
    if contradicting:
        shown = " and ".join(f"{row['utterance_id']!a} ({' '.join(row['labels'])})" for row in contradicting[0][:MAX_SHOWN])
        yield f"{counted(len(contradicting), 'recording occurs', 'recordings occur')} with contradicting labels, such as {shown}"


def equal_recordings(rows):
    """Return the groups of rows with equal audio, as lists of two or more rows."""
    rows_of_audio = defaultdict(list)
    for row in rows:
        if row["audio_hash"]:
            rows_of_audio[row["audio_hash"]].append(row)
    return [group for group in rows_of_audio.values() if len(group) > 1]


def is_contradicting(group):
    """Return whether rows with equal audio have different labels."""
    return len({tuple(row["labels"]) for row in group}) > 1


def labels_by_column(rows, label_columns):
    """Return label column → counts of its labels; a sequence is one column."""
    names = [name.strip() for name in label_columns.split(",") if name.strip()]
    if not names:
        names = ["label"] if any(row["labels"] for row in rows) else []
    if len(names) == 1:
        return {names[0].removesuffix(SEQUENCE): Counter(label for row in rows for label in row["labels"])}
    return {name: Counter(row["labels"][column] for row in rows) for column, name in enumerate(names)}


def _quoted(names, max_shown=MAX_SHOWN):
    """Return names in quotation marks, sorted, not too many of them."""
    names = sorted(names)
    return ", ".join(f"'{name}'" for name in names[:max_shown]) + (", …" if len(names) > max_shown else "")
