"""LibriSpeech, 100 hours: what is said, as a sequence of characters, in the published split.

Expected: `{train-clean-100,dev-clean,test-clean}/{reader}/{chapter}/{reader}-{chapter}.trans.txt` and FLAC beside it.
The 28 symbols are A to Z, ' and | between words.

**Source:** Panayotov et al., ICASSP 2015.
"""

from pathlib import Path

from speech2unit.corpus_files import found, known, read_lines, row, with_labels

SOURCE = "https://www.openslr.org/12 (train-clean-100, dev-clean, test-clean)"
PARTS = {"train-clean-100": "train", "dev-clean": "dev", "test-clean": "test"}
SYMBOLS = {letter: letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"} | {" ": "|"}


def read_rows(*, root, label_columns):
    """Rows with label column `characters[]`: `84-121123-0000 GO ON` → reader 84, [G, O, |, O, N]. Raises `ValueError`."""
    rows = []
    for part, split in PARTS.items():
        for path in found(Path(root) / part, "*/*/*.trans.txt", SOURCE):
            for line in read_lines(path, SOURCE):
                name, _, text = line.partition(" ")
                audio = (path.parent / f"{name}.flac").relative_to(root).as_posix()
                rows.append(row(audio, split, {"characters[]": spelled(text, path, SOURCE)}, name.split("-")[0]))
    return with_labels(rows, label_columns)


def spelled(text, place, source):
    """`GO ON` → G O | O N. Raises `ValueError` for another character."""
    return [known(letter, SYMBOLS, place, source) for letter in text.strip()]
