"""What the rows of a manifest hold, and what is odd about them though it is allowed, in words for the terminal."""

from collections import Counter, defaultdict

from speech2unit.corpora.splits import SEQUENCE
from storage.schemas import SPLITS
from storage.text import look_alikes

MAX_SHOWN = 5


def speakers_and_labels(rows, label_columns):
    """Return the numbers of speakers and labels as text, such as `12 speakers, 2 labels`.

    Args:
        rows: manifest rows.
        label_columns: the cell of config/corpora.tsv.
    """
    speakers = {row["speaker"] for row in rows} - {None}
    num_unknown = sum(row["speaker"] is None for row in rows)
    text = f"{len(speakers)} speakers" if speakers else "speakers unknown"
    if speakers and num_unknown:
        text += f" ({num_unknown} clips of unknown ones)"
    by_column = _labels(rows, label_columns)
    if len(by_column) == 1:
        return f"{text}, {len(*by_column.values())} labels"
    return ", ".join([text, *(f"{len(labels)} labels of {name}" for name, labels in by_column.items())])


def remarks(listed, rows, label_columns):
    """Yield one sentence for each thing that a user should look at.

    Names that differ in capitals alone; labels without usable recordings; labels that dev or test lacks; equal audio, and with
    contradicting labels.

    Args:
        listed: the rows of the adapter.
        rows: the usable ones of them, as rows of the manifest as recorded.
        label_columns: the cell of config/corpora.tsv.
    """
    for group in look_alikes({row["speaker"] for row in rows} - {None}):
        yield f"the speakers {_quoted(group)} look alike, and count as {len(group)}"
    for name, labels in _labels(rows, label_columns).items():
        for group in look_alikes(labels):
            yield f"the labels {_quoted(group)} of {name} look alike, and count as {len(group)}"
        unusable = _labels(listed, label_columns)[name].keys() - labels
        if unusable:
            yield f"{len(unusable)} labels of {name} have no usable recording: {_quoted(unusable)}"
        for split in SPLITS[1:]:
            in_split = _labels([row for row in rows if row["split"] == split], label_columns).get(name, {})
            if in_split and (lacking := labels.keys() - in_split):
                yield f"{split} lacks {len(lacking)} of {len(labels)} labels of {name}: {_quoted(lacking)}"
    yield from _equal_audio(rows)


def _equal_audio(rows):
    """Yield sentences about recordings that occur more than once."""
    rows_of_audio = defaultdict(list)
    for row in rows:
        if row["audio_hash"]:
            rows_of_audio[row["audio_hash"]].append(row)
    repeated = [group for group in rows_of_audio.values() if len(group) > 1]
    if repeated:
        names = " = ".join(ascii(row["utterance_id"]) for row in repeated[0][:MAX_SHOWN])
        yield f"{len(repeated)} recordings occur more than once, such as {names}"
    contradicting = [group for group in repeated if len({tuple(row["labels"]) for row in group}) > 1]
    if contradicting:
        shown = " and ".join(f"{row['utterance_id']!a} ({' '.join(row['labels'])})" for row in contradicting[0][:MAX_SHOWN])
        yield f"{len(contradicting)} recordings occur with contradicting labels, such as {shown}"


def _labels(rows, label_columns):
    """Return label column → counts of its labels; a sequence is one column."""
    names = [name.strip() for name in label_columns.split(",") if name.strip()]
    if not names:
        names = ["label"] if any(row["labels"] for row in rows) else []
    if len(names) == 1:
        return {names[0].removesuffix(SEQUENCE): Counter(label for row in rows for label in row["labels"])}
    return {name: Counter(row["labels"][column] for row in rows) for column, name in enumerate(names)}


def _quoted(names):
    """Return names in quotation marks, sorted, not too many of them."""
    names = sorted(names)
    return ", ".join(f"'{name}'" for name in names[:MAX_SHOWN]) + (", …" if len(names) > MAX_SHOWN else "")
