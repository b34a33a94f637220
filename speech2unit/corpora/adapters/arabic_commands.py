"""Arabic Speech Commands: six command words and ten digits, a hundred takes each of forty speakers.

Expected: the repository as published, with `{0-9}_{take}.wav` and `{A-F}_{Word}{take}.wav` anywhere below the root. It names no
speakers and has no split. The split depends on the number of the take, so that the same take of all words is in one split.

**Source:** Benamer and Alkishriwo, "Database for Arabic Speech Commands Recognition", 2020.
"""

from pathlib import Path

from speech2unit.corpora.layouts import match_file_name, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash

SOURCE = "https://github.com/ltkbenamer/AR_Speech_Database"
COMMANDS = dict(A="add", B="back", C="cancel", D="delete", E="confirm", F="continue")


def read_rows(*, root, label_columns):
    """Return rows with label column `word`: `A_Add51.wav` → [add], `7_30.wav` → [7].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for path in matching_paths(Path(root), "**/*.wav", SOURCE):
        digit, letter, take = match_file_name("(?:([0-9])_|([A-F])_[A-Za-z]+) ?([0-9]+)", path, SOURCE).groups()
        labels = dict(word=digit or COMMANDS[letter])
        rows.append(utterance_row(path.relative_to(root).as_posix(), split_by_hash(f"take {take}"), labels))
    return with_labels(rows, label_columns)
