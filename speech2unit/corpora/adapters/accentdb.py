"""AccentDB: which of nine accents of English is spoken.

Expected: accentdb_extended, unpacked: `data/{accent}/{speaker}/*.wav`. No split is published, so speakers are assigned to
splits within each accent. Odiya has one speaker, who is in train. (SpeechPrompt v2 draws utterances instead, so its test
speakers and test sentences also occur in train.)

**Source:** arXiv 2005.07973.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_speakers_by_label
from storage.text import normalize_name

SOURCE = "https://accentdb.org (accentdb_extended)"
ACCENT_NAMES = ("american", "australian", "bangla", "british", "indian", "malayalam", "odiya", "telugu", "welsh")
ACCENTS = dict(zip(ACCENT_NAMES, ACCENT_NAMES))


def read_rows(*, root, label_columns):
    """Return rows with label column `accent`: `data/welsh/speaker_01/x.wav` → speaker welsh-speaker_01, [welsh].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    speakers = {}
    for path in matching_paths(Path(root) / "data", "*/*/*.wav", SOURCE):
        accent = look_up(path.parts[-3], ACCENTS, path, SOURCE)
        speaker = f"{accent}-{normalize_name(path.parts[-2])}"
        speakers.setdefault(accent, set()).add(speaker)
        rows.append(utterance_row(path.relative_to(root).as_posix(), None, dict(accent=accent), speaker))
    splits = split_speakers_by_label(speakers)
    return with_labels([row | dict(split=splits[row["speaker"]]) for row in rows], label_columns)
