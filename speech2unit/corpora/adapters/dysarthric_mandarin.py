"""Dysarthric Mandarin commands: nineteen words, ten takes of each by three speakers with dysarthria.

Expected: `D_SPK{1-3}/{01-19}/*({take}).wav`. No split is published, and three speakers cannot be split by speaker. As in the
papers all three are in every split (so speakers are null), and the take decides: 1–6 train, 7 dev, 8–10 test. The papers
draw three takes of ten without a seed.

**Source:** Applied Sciences 11 (2021) 2477; arXiv 2110.03894.
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, match_file_name, matching_paths, utterance_row, with_labels

SOURCE = "https://www.mdpi.com/2076-3417/11/6/2477 (download: https://reurl.cc/a5vAG4)"
WORD_NAMES = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "close",
    "up",
    "down",
    "previous",
    "next",
    "in",
    "out",
    "left",
    "right",
    "home",
)
WORDS = {f"{number:02d}": name for number, name in enumerate(WORD_NAMES, 1)}
SPLITS = {f"{take}": "train" for take in range(1, 7)} | {"7": "dev"} | {f"{take}": "test" for take in range(8, 11)}


def read_rows(*, root, label_columns):
    """Return rows with label column `word`: `D_SPK1/02/D_SPK1_c2 (7).wav` → dev, [two].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for path in matching_paths(Path(root), "D_SPK*/*/*.wav", SOURCE):
        split = look_up(match_file_name(r"D_SPK[0-9]+_c[0-9]* ?\(([0-9]+)\)", path, SOURCE)[1], SPLITS, path, SOURCE)
        labels = dict(word=look_up(path.parent.name, WORDS, path, SOURCE))
        rows.append(utterance_row(path.relative_to(root).as_posix(), split, labels))
    return with_labels(rows, label_columns)
