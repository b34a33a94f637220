"""Google Speech Commands v1 and v2, twelve classes: ten words, `unknown` (every other word) and `silence` (noise).

Expected: the two archives of one version, unpacked into these folders (the archives contain no folder of this name):
`speech_commands_v0.0?/{word,_background_noise_}/*.wav` and `speech_commands_test_set_v0.0?/{word,_unknown_,_silence_}/*.wav`.
The test archive is test, so the test part of the other archive is left out. Train has every clip once; balancing classes is up
to the training. Silence of train and dev is made of the noise recordings, cut into seconds: the last tenth is dev.

**Source:** arXiv 1804.03209; its hash of the speaker (`input_data.py` of TensorFlow's example), which agrees with
`validation_list.txt` and `testing_list.txt` of the archive.
"""

import hashlib
from pathlib import Path

from speech2unit.corpora.layouts import (
    look_up,
    match_file_name,
    matching_paths,
    one_second_segments,
    only_matching_path,
    utterance_row,
    with_labels,
)
from storage.text import normalize_name

SOURCE = "https://www.tensorflow.org/datasets/catalog/speech_commands (speech_commands_v0.0?, speech_commands_test_set_v0.0?)"
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
TEST_FOLDERS = {word: word for word in WORDS} | dict(_unknown_="unknown", _silence_="silence")
NOISE = "_background_noise_"
NAME = "([0-9a-f]{6,10})_nohash_[0-9]+"
TEST_NAME = rf"(?:[a-z]+_)?{NAME}(?:\.wav)?"  # _unknown_/bed_3ff840aa_nohash_0.wav.wav
MODULUS = 2**27  # the hash modulo MODULUS is scaled to 0–100 by MODULUS − 1


def read_rows(*, root, label_columns):
    """Return rows with label column `word`: `…/bed/0a7c2a8d_nohash_0.wav` → speaker 0a7c2a8d, [unknown].

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    root = Path(root)
    training = only_matching_path(root, "speech_commands_v0.0?", SOURCE)
    testing = only_matching_path(root, "speech_commands_test_set_v0.0?", SOURCE)
    rows = [*_training_rows(root, training), *silence_rows(root, training / NOISE), *_test_rows(root, testing)]
    return with_labels(rows, label_columns)


def _training_rows(root, folder):
    """Yield the rows of spoken clips of train and dev."""
    for path, speaker, split in spoken_clips(folder):
        if split != "test":
            word = normalize_name(path.parent.name)
            yield utterance_row(
                path.relative_to(root).as_posix(), split, dict(word=word if word in WORDS else "unknown"), speaker
            )


def _test_rows(root, folder):
    """Yield the rows of the test archive."""
    for path in matching_paths(folder, "*/*", SOURCE):
        label = look_up(path.parent.name, TEST_FOLDERS, path, SOURCE)
        speaker = None if label == "silence" else match_file_name(TEST_NAME, path, SOURCE)[1]
        yield utterance_row(path.relative_to(root).as_posix(), "test", dict(word=label), speaker)


def silence_rows(root, folder):
    """Yield the rows of a folder of noise, cut into seconds; the last tenth of each recording is dev."""
    for path in matching_paths(folder, "*.wav", SOURCE):
        segments = one_second_segments(path)
        num_dev = max(1, len(segments) // 10)
        for number, segment in enumerate(segments):
            split = "dev" if number >= len(segments) - num_dev else "train"
            yield utterance_row(path.relative_to(root).as_posix(), split, dict(word="silence"), segment=segment)


def spoken_clips(folder):
    """Yield (path, speaker, published split) of the clips of all words."""
    for path in matching_paths(folder, "*/*.wav", SOURCE):
        if path.parent.name != NOISE:
            speaker = match_file_name(NAME, path, SOURCE)[1]
            yield path, speaker, published_split(speaker)


def published_split(speaker):
    """Return the published split of a speaker (the name before `_nohash_`), from its SHA-1: 10 % dev, 10 % test, 80 % train."""
    percentage = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % MODULUS * 100 / (MODULUS - 1)
    if percentage < 10:
        return "dev"
    return "test" if percentage < 20 else "train"
