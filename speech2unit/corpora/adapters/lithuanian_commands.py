"""Lithuanian Speech Commands: thirteen words, `unknown` (every other word) and `silence`.

Expected: `dataset/{word}/{speaker}_nohash_{take}.wav` and `dataset/_background_noise_/*.wav`, the repository as published.
The split is that of Google Speech Commands, by its hash of the speaker, as in the papers; the noise clips (of one second) are
split by their name. The papers train on at most 20 clips per word; here all are listed.

**Source:** Applied Sciences 11 (2021) 6298, "Voice Activation for Low-Resource Languages"; arXiv 2110.03894.
"""

from pathlib import Path

from speech2unit.corpora.adapters.speech_commands import NOISE, published_split
from speech2unit.corpora.layouts import match_file_name, matching_paths, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash
from storage.text import normalize_name

SOURCE = "https://github.com/kolesov93/lt_speech_commands"
WORDS = (
    "ne",
    "ačiū",
    "stop",
    "įjunk",
    "išjunk",
    "į_viršų",
    "į_apačią",
    "į_dešinę",
    "į_kairę",
    "startas",
    "pauzė",
    "labas",
    "iki",
)


def read_rows(*, root, label_columns):
    """Return rows with label column `word`: `dataset/du/13_nohash_0.wav` → speaker 13, [unknown].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    paths = matching_paths(Path(root) / "dataset", "*/*.wav", SOURCE)
    return with_labels([_row(path, path.relative_to(root).as_posix()) for path in paths], label_columns)


def _row(path, relative):
    """Return the row of a file; `relative` is its path below the root."""
    word = normalize_name(path.parent.name)
    if word == NOISE:
        return utterance_row(relative, split_by_hash(path.stem), dict(word="silence"))
    speaker = match_file_name("([0-9]+)_nohash_[0-9]+", path, SOURCE)[1]
    return utterance_row(relative, published_split(speaker), dict(word=word if word in WORDS else "unknown"), speaker)
