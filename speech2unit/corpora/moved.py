"""Recognize a corpus whose folder was moved."""

from pathlib import Path

from speech2unit.corpora.audio import BadAudio, decode, segment_times

NUM_COMPARED = 50  # recordings that are decoded


def has_recordings(root, rows):
    """Return whether the recordings of a manifest are below a folder.

    All of them must exist, and up to `NUM_COMPARED` of them, spread over the manifest, must have the same audio.

    Args:
        root: the folder.
        rows: rows of `MANIFEST`.
    """
    compared = rows[:: max(1, len(rows) // NUM_COMPARED)]
    return all((Path(root) / row["path"]).is_file() for row in rows) and all(_has_audio(root, row) for row in compared)


def _has_audio(root, row):
    """Return whether the audio of a manifest row is below `root`."""
    try:
        _, info = decode(Path(root) / row["path"], **segment_times(row))
    except (BadAudio, OSError):
        return False
    return info.audio_hash == row["audio_hash"]
