"""Recordings that come from the browser: limits, and sentences that say what is wrong with one and what to do."""

import os

import soundfile

from speech2unit.corpora.audio import MIN_SAMPLES, BadAudio
from speech2unit.encoders.models.log_mel import SAMPLE_RATE_HZ

MAX_MEGABYTES = 64  # of an upload
MAX_SECONDS = 60  # of a recording
MIN_SECONDS = MIN_SAMPLES / SAMPLE_RATE_HZ

# Reason code of `BadAudio` → what is wrong, what to do.
SENTENCES = {
    "bad_name": ("The name of the file cannot be used.", "Rename the file and upload it again."),
    "missing": ("The recording is no longer here.", "Record or upload it again."),
    "unreadable": ("The file cannot be read.", "Upload it again."),
    "not_audio": ("This is no audio file of a known format.", "Upload WAV, FLAC, Ogg or MP3; ffmpeg converts others."),
    "truncated": ("The file is cut off.", "Copy it again from its source, then upload it again."),
    "damaged": ("The file is damaged.", "Copy it again from its source, then upload it again."),
    "bad_rate": ("The sample rate of the file cannot be right.", "Save the recording with 16 kHz, say, and upload it again."),
    "no_samples": ("The file has no audio in it.", "Record again, or upload another file."),
    "too_short": ("The recording is too short.", "Record at least a tenth of a second."),
    "not_finite": ("The recording has samples that are no numbers.", "Save it again with the program that made it."),
    "silent": ("The recording is silent.", "Check that the right microphone is on, and record again."),
    "too_loud": ("The samples are far above full scale.", "Divide them, so that the loudest is 1, and upload the file again."),
    "more_audio": (
        "The file goes on after the end that it announces.",
        "Save it again with the program that made it, or record again.",
    ),
    "unchecked": ("Nobody can tell whether a file of this format is whole.", "Convert it to WAV and upload that."),
    "no_decoder": ("This format needs another decoder.", "Upload WAV, FLAC, Ogg or MP3, or convert the file with ffmpeg."),
    "too_long": ("The recording is too long.", "Cut it into utterances, and upload one of them."),
}


def sentence(error):
    """Return what is wrong with a recording and what to do, as sentences for a user. `error`: a `BadAudio`."""
    problem, remedy = SENTENCES.get(error.reason, ("The recording cannot be used.", "Record or upload another one."))
    return f"{problem} {remedy} ({error.detail})"


def check_upload(path, max_seconds=MAX_SECONDS):
    """Refuse a file that is too large, too long or too short before any of it is decoded.

    Args:
        path: the file.
        max_seconds: longest recording in s.

    Raises:
        BadAudio: `missing`, `too_long` or `too_short`. Other problems are left to the decoder.
    """
    try:
        megabytes = os.path.getsize(path) / 1e6
    except OSError as error:
        raise BadAudio(path, "missing", error.strerror) from error
    if megabytes > MAX_MEGABYTES:
        raise BadAudio(path, "too_long", f"{megabytes:.0f} MB, at most {MAX_MEGABYTES}")
    try:
        seconds = soundfile.info(path).duration
    except soundfile.LibsndfileError:
        return
    if seconds > max_seconds:
        raise BadAudio(path, "too_long", f"{seconds:.0f} s, at most {max_seconds:g}")
    if 0 < seconds < MIN_SECONDS:
        raise BadAudio(path, "too_short", f"{1000 * seconds:.2g} ms, at least {1000 * MIN_SECONDS:g}")
