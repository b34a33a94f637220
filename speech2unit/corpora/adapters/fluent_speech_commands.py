"""Fluent Speech Commands: the intent, as action, object and location, in the published split (speaker-disjoint).

Expected: `data/{train,valid,test}_data.csv` and `wavs/speakers/…`. A label is a whole cell (`change language`). The label of
a slot with `none` names the slot (`no object`), so that no label belongs to two slots.

**Source:** arXiv 1904.03670.
"""

from pathlib import Path

from speech2unit.corpora.layouts import read_table, utterance_row, with_labels

SOURCE = "https://fluent.ai/fluent-speech-commands-a-dataset-for-spoken-language-understanding-research"
SLOTS = ("action", "object", "location")
FILES = dict(train="train", dev="valid", test="test")


def read_rows(*, root, label_columns):
    """Return rows with label columns `action`, `object`, `location`: [increase, heat, no location].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for split, name in FILES.items():
        for cells in read_table(Path(root) / "data" / f"{name}_data.csv", ["path", "speakerId", *SLOTS], SOURCE):
            labels = {slot: f"no {slot}" if cells[slot] == "none" else cells[slot] for slot in SLOTS}
            rows.append(utterance_row(cells["path"], split, labels, cells["speakerId"]))
    return with_labels(rows, label_columns)
