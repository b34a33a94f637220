"""AccentDB: which of nine accents of English is spoken.

Expected, accentdb_extended unpacked: `data/{accent}/{speaker}/*.wav`. No split is published: it is drawn by speaker within
each accent; odiya has one speaker, who is in train. (SpeechPrompt v2 draws utterances, so it knows every speaker, and
every sentence, it is tested on.)

**Source:** arXiv 2005.07973.
"""

from pathlib import Path

from speech2unit.corpora.layouts import found, known, row, with_labels
from speech2unit.corpora.splits import drawn_splits

SOURCE = "https://accentdb.org (accentdb_extended)"
NAMES = ("american", "australian", "bangla", "british", "indian", "malayalam", "odiya", "telugu", "welsh")
ACCENTS = dict(zip(NAMES, NAMES))


def read_rows(*, root, label_columns):
    """Rows with label column `accent`: `data/welsh/speaker_01/x.wav` → speaker welsh-speaker_01, [welsh]."""
    rows, speakers = [], {}
    for path in found(Path(root) / "data", "*/*/*.wav", SOURCE):
        accent = known(path.parts[-3], ACCENTS, path, SOURCE)
        speaker = f"{accent}-{path.parts[-2]}"
        speakers.setdefault(accent, set()).add(speaker)
        rows.append(row(path.relative_to(root).as_posix(), None, dict(accent=accent), speaker))
    splits = drawn_splits(speakers)
    return with_labels([one | dict(split=splits[one["speaker"]]) for one in rows], label_columns)
