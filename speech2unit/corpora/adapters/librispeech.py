"""LibriSpeech, 100 hours: the transcript as a sequence of characters or of phonemes, in the published split.

Expected: `{train-clean-100,dev-clean,test-clean}/{reader}/{chapter}/{reader}-{chapter}.trans.txt` and the FLAC files next to it.
The 28 characters are A to Z, ' and | between words. Phonemes (ARPAbet with stress, nothing between words) come from the
lexicons `librispeech-lexicon-*.txt` next to the three folders: lines `WORD  P1 P2 …`, of which the first for a word counts.

**Source:** Panayotov et al., ICASSP 2015; SUPERB, arXiv 2105.01051 (phoneme recognition).
"""

from pathlib import Path

from speech2unit.corpora.layouts import look_up, matching_paths, read_lines, utterance_row, with_labels
from storage.errors import data_error

SOURCE = "https://www.openslr.org/12 (train-clean-100, dev-clean, test-clean)"
LEXICON_SOURCE = "https://github.com/s3prl/s3prl/tree/main/s3prl/downstream/ctc/lexicon (both files)"
PARTS = {"train-clean-100": "train", "dev-clean": "dev", "test-clean": "test"}
SYMBOLS = {letter: letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"} | {" ": "|"}


def read_rows(*, root, label_columns):
    """Return rows with label column `characters[]`: `84-121123-0000 GO ON` → reader 84, [G, O, |, O, N]; or `phonemes[]`.

    The lexicons are read only for phonemes.

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    lexicon = read_lexicon(Path(root)) if label_columns.strip() == "phonemes[]" else None
    rows = []
    for part, split in PARTS.items():
        for path in matching_paths(Path(root) / part, "*/*/*.trans.txt", SOURCE):
            for line in read_lines(path, SOURCE):
                name, _, text = line.partition(" ")
                labels = {"characters[]": character_symbols(text, path, SOURCE)}
                if lexicon:
                    labels["phonemes[]"] = phonemes_of(text, lexicon, f"{path}, {name}")
                audio = (path.parent / f"{name}.flac").relative_to(root).as_posix()
                rows.append(utterance_row(audio, split, labels, name.split("-")[0]))
    return with_labels(rows, label_columns)


def character_symbols(text, place, source):
    """Return the symbols of a text: `GO ON` → G O | O N. Raises `ValueError` if it has any other character."""
    return [look_up(letter, SYMBOLS, place, source) for letter in text.strip()]


def read_lexicon(folder):
    """Return word → its first phonemes in the lexicons of a folder. Raises `ValueError` if there is no lexicon."""
    lexicon = {}
    for path in matching_paths(folder, "librispeech-lexicon*.txt", LEXICON_SOURCE):
        for line in read_lines(path, LEXICON_SOURCE):
            word, *phonemes = line.split()
            lexicon.setdefault(word, phonemes)
    return lexicon


def phonemes_of(text, lexicon, place):
    """Return the phonemes of a text: `GO ON` → G OW1 AA1 N. Raises `ValueError` if the lexicon lacks a word."""
    words = text.split()
    missing = [word for word in words if not lexicon.get(word)]
    if missing:
        raise data_error(
            place,
            "the lexicon has every word",
            expected="phonemes of each word",
            got=f"none of {missing[:3]}",
            remedy=f"put all lexicons into the root of the corpus; get them from {LEXICON_SOURCE}",
        )
    return [phoneme for word in words for phoneme in lexicon[word]]
