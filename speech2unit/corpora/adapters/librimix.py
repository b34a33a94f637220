"""LibriMix (Libri2Mix, 16 kHz, max): who of two speakers speaks when, in SUPERB's split for diarization.

Expected: the mixtures, such as `wav16k/max/train-100/mix_both/*.wav`, and `data/{train,dev,test}/` as s3prl's diarization
reads them: `wav.scp` (recording, path), `segments` (segment, recording, start, end), `utt2spk` (segment, speaker). Only the
part of a path in wav.scp that begins with `wav16k` is used, so it does not matter where the files were made.

**Source:** arXiv 2005.11262; SUPERB, arXiv 2105.01051 (speaker diarization).
"""

from pathlib import Path, PurePosixPath

from speech2unit.corpora.activity import activity_symbols
from speech2unit.corpora.layouts import look_up, read_fields, utterance_row, with_labels
from storage.errors import data_error

SOURCE = "https://github.com/s3prl/s3prl/blob/main/s3prl/downstream/docs/superb.md (speaker diarization)"
AUDIO = "wav16k"


def read_rows(*, root, label_columns):
    """Return rows with label column `activity[]`, see `speech2unit/corpora/activity.py`; speaker: the pair.

    Arguments and errors: see `speech2unit.corpora.adapters`.
    """
    rows = []
    for split in ("train", "dev", "test"):
        rows += _split_rows(Path(root) / "data" / split, split)
    return with_labels(rows, label_columns)


def _split_rows(folder, split):
    """Yield the rows of a split from its folder of lists."""
    speakers = dict(read_fields(folder / "utt2spk", 2, SOURCE))
    segments = {}
    for name, recording, start, end in read_fields(folder / "segments", 4, SOURCE):
        speaker = look_up(name, speakers, folder / "utt2spk", SOURCE)
        segments.setdefault(recording, []).append((speaker, float(start), float(end)))
    for recording, path in read_fields(folder / "wav.scp", 2, SOURCE):
        recording_segments = look_up(recording, segments, folder / "segments", SOURCE)
        symbols = activity_symbols(recording_segments, f"{folder / 'segments'}, {recording}")
        pair = "+".join(sorted({speaker for speaker, *_ in recording_segments}))
        yield utterance_row(_below_root(path, folder / "wav.scp"), split, {"activity[]": symbols}, pair)


def _below_root(path, place):
    """Return the part of a path from `wav16k` on. Raises `ValueError` if it has none."""
    parts = PurePosixPath(path).parts
    if AUDIO not in parts:
        raise data_error(
            place,
            "mixtures are in their published folders",
            expected=f"a path with /{AUDIO}/",
            got=f"'{path}'",
            remedy=f"make the files again as {SOURCE} says",
        )
    return PurePosixPath(*parts[parts.index(AUDIO) :]).as_posix()
