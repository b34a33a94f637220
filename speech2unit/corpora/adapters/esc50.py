"""ESC-50: fifty sounds, in the published folds (clips of one recording share a fold): 1 test, 2 dev, 3 to 5 train.

Expected: `meta/esc50.csv` and `audio/*.wav`. (SpeechPrompt v2 tests on fold 1 too and draws dev from the others.)

**Source:** Piczak, ACM Multimedia 2015, "ESC: Dataset for Environmental Sound Classification".
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, read_table, utterance_row, with_labels

SOURCE = "https://github.com/karolpiczak/ESC-50"
SPLITS = {"1": "test", "2": "dev", "3": "train", "4": "train", "5": "train"}


def read_rows(*, root, label_columns):
    """Return rows with label column `sound`: `1-100032-A-0.wav` of fold 1 → test, [dog].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    place = Path(root) / "meta/esc50.csv"
    table = read_table(place, ["filename", "fold", "category"], SOURCE)
    rows = [
        utterance_row(f"audio/{cells['filename']}", look_up(cells["fold"], SPLITS, place, SOURCE), dict(sound=cells["category"]))
        for cells in table
    ]
    return with_labels(rows, label_columns)
