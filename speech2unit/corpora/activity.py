"""Who of two speakers speaks when: one symbol each 10 ms, so that it is a sequence of labels like any other.

`0` nobody, `1` the first speaker, `2` the second, `3` both. The first is the one who is named first by sorted names.
"""

import numpy as np

from storage.errors import data_error

ACTIVITY_HZ = 100  # symbols a second; SUPERB's diarization counts its errors on frames of 10 ms as well
NUM_SPEAKERS = 2


def activity_symbols(segments, place):
    """(speaker, start, end) in seconds, in any order → symbols up to the last end. Raises `ValueError` unless two speak."""
    speakers = sorted({speaker for speaker, *_ in segments})
    if len(speakers) != NUM_SPEAKERS:
        raise data_error(
            place,
            "a mixture is of two speakers",
            expected="segments of two",
            got=f"{speakers[:5]}",
            remedy="correct the segments, or leave the recording out",
        )
    frames = [(speaker, *(round(ACTIVITY_HZ * seconds) for seconds in times)) for speaker, *times in segments]
    active = np.zeros((max(end for *_, end in frames), NUM_SPEAKERS), np.int8)
    for speaker, start, end in frames:
        active[start:end, speakers.index(speaker)] = 1
    return symbols_of(active)


def symbols_of(active):
    """0 or 1 for each frame and speaker `[T, 2]` → one symbol a frame."""
    return [str(value) for value in np.asarray(active) @ (1, 2)]


def segments_of(symbols):
    """Symbols → segments as labels, `1 0.00 0.42` (speaker, start, end in seconds), by speaker and start."""
    values = np.array([int(symbol) for symbol in symbols], np.int8)
    found = []
    for number in range(NUM_SPEAKERS):
        edges = np.flatnonzero(np.diff(values >> number & 1, prepend=0, append=0)) / ACTIVITY_HZ
        found += [f"{number + 1} {start:.2f} {end:.2f}" for start, end in edges.reshape(-1, 2)]
    return found


def loud_frames(waveform, *, sample_rate, range_db, max_gap_seconds):
    """Whether a voice is heard in each 10 ms of a waveform of one speaker: boolean `[T]`.

    It is where the frame's power is within `range_db` of the loudest frame's, and in gaps of up to `max_gap_seconds`.
    """
    hop = sample_rate // ACTIVITY_HZ
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    power = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, 1) + 1e-12)
    heard = np.flatnonzero(power > power.max() - range_db)
    active = np.zeros(len(frames), bool)
    for start, end in zip(heard, [*heard[1:], heard[-1]]):
        active[start : (end if end - start <= max_gap_seconds * ACTIVITY_HZ else start) + 1] = True
    return active
