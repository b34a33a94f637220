"""Voice activity: clips of Google Speech Commands v2 (`speech`) against Freesound recordings without speech (`background`).

Expected: `speech_commands_v0.02/{word}/*.wav` and `freesound/{category}/*.wav`, downloaded by NeMo's scripts. Speech has the
published split of Speech Commands. Freesound has none: whole recordings are assigned to splits and then cut into seconds, the
length of a clip of a word.

**Source:** MarbleNet, arXiv 2010.13886. Deviations: its windows are 0.63 s long and overlap, and it balances classes by drawing
with replacement; here every second occurs once.
"""

from pathlib import Path

from speech2unit.corpora.adapters.speech_commands import spoken_clips
from speech2unit.corpora.layouts import existing_path, matching_paths, one_second_segments, utterance_row, with_labels
from speech2unit.corpora.splits import split_by_hash

SOURCE = "https://freesound.org (by scripts/freesound_download_resample of https://github.com/NVIDIA/NeMo)"


def read_rows(*, root, label_columns):
    """Return rows with label column `activity`: speech or background.

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    root = Path(root)
    speech = existing_path(root / "speech_commands_v0.02", "https://www.tensorflow.org/datasets/catalog/speech_commands")
    rows = []
    for path, speaker, split in spoken_clips(speech):
        rows.append(utterance_row(path.relative_to(root).as_posix(), split, dict(activity="speech"), speaker))
    return with_labels([*rows, *_background_rows(root)], label_columns)


def _background_rows(root):
    """Yield the rows of the recordings without speech."""
    for path in matching_paths(root / "freesound", "*/*.wav", SOURCE):
        relative = path.relative_to(root).as_posix()
        for segment in one_second_segments(path):
            yield utterance_row(relative, split_by_hash(path.stem), dict(activity="background"), segment=segment)
