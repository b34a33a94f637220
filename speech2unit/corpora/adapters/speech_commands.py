"""Google Speech Commands v1 and v2, twelve classes: ten words, `unknown` (every other word) and `silence` (noise).

Published as two archives that unpack without a folder of their own. Expected under the root, one version each:
`speech_commands_v0.0?/{word,_background_noise_}/*.wav` and `speech_commands_test_set_v0.0?/{word,_unknown_,_silence_}/*.wav`.
Test is the test archive, so the archive's own test part is left out. Train has every clip once; balancing is the
training's. Silence of train and dev is the noise recordings, second by second: their last tenth is dev.

**Source:** arXiv 1804.03209; its hash of the speaker (`input_data.py` of TensorFlow's example), which gives what
`validation_list.txt` and `testing_list.txt` of the archive list.
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

SOURCE = "https://www.tensorflow.org/datasets/catalog/speech_commands (speech_commands_v0.0?, speech_commands_test_set_v0.0?)"
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
TEST_FOLDERS = {word: word for word in WORDS} | dict(_unknown_="unknown", _silence_="silence")
NOISE = "_background_noise_"
NAME = "([0-9a-f]{6,10})_nohash_[0-9]+"
TEST_NAME = rf"(?:[a-z]+_)?{NAME}(?:\.wav)?"  # _unknown_/bed_3ff840aa_nohash_0.wav.wav
MODULUS = 2**27  # of the hash, which is scaled to 0–100 by MODULUS − 1


def read_rows(*, root, label_columns):
    """Rows with label column `word`: `…/bed/0a7c2a8d_nohash_0.wav` → speaker 0a7c2a8d, [unknown]. Raises `ValueError`."""
    root = Path(root)
    training, testing = (only_matching_path(root, f"speech_commands_{part}v0.0?", SOURCE) for part in ("", "test_set_"))
    rows = [*_training(root, training), *silence_rows(root, training / NOISE), *_testing(root, testing)]
    return with_labels(rows, label_columns)


def _training(root, folder):
    for path, speaker, split in spoken_clips(folder):
        if split != "test":
            word = path.parent.name
            yield utterance_row(
                path.relative_to(root).as_posix(), split, dict(word=word if word in WORDS else "unknown"), speaker
            )


def _testing(root, folder):
    for path in matching_paths(folder, "*/*", SOURCE):
        label = look_up(path.parent.name, TEST_FOLDERS, path, SOURCE)
        speaker = None if label == "silence" else match_file_name(TEST_NAME, path, SOURCE)[1]
        yield utterance_row(path.relative_to(root).as_posix(), "test", dict(word=label), speaker)


def silence_rows(root, folder):
    """Rows of a folder of noise, cut into seconds; the last tenth of each recording is dev."""
    for path in matching_paths(folder, "*.wav", SOURCE):
        parts = one_second_segments(path)
        for number, part in enumerate(parts):
            split = "dev" if number >= len(parts) - max(1, len(parts) // 10) else "train"
            yield utterance_row(path.relative_to(root).as_posix(), split, dict(word="silence"), segment=part)


def spoken_clips(folder):
    """(path, speaker, split by the published hash) of every word's clips."""
    for path in matching_paths(folder, "*/*.wav", SOURCE):
        if path.parent.name != NOISE:
            speaker = match_file_name(NAME, path, SOURCE)[1]
            yield path, speaker, published_split(speaker)


def published_split(speaker):
    """The published split of a speaker: the SHA-1 of what stands before `_nohash_`, 10 % dev, 10 % test, else train."""
    percentage = int(hashlib.sha1(speaker.encode()).hexdigest(), 16) % MODULUS * 100 / (MODULUS - 1)
    return "dev" if percentage < 10 else "test" if percentage < 20 else "train"
