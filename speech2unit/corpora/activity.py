"""Speaker activity: when each of two speakers speaks, as a sequence of labels with one symbol for every 10 ms.

The symbols are `0` for nobody, `1` for the first speaker, `2` for the second, and `3` for both. The first speaker is the one
whose name comes first in alphabetical order.
"""

import numpy as np

from storage.errors import data_error

ACTIVITY_HZ = 100  # symbols per second; SUPERB also counts the errors of diarization on frames of 10 ms
NUM_SPEAKERS = 2


def activity_symbols(segments, place):
    """Turn segments into symbols, up to the end of the last segment.

    Args:
        segments: tuples (speaker, start, end) in any order; times are in seconds.
        place: where the segments come from, for the error message.

    Raises:
        ValueError: if there are not exactly two speakers.
    """
    speakers = sorted({speaker for speaker, *_ in segments})
    if len(speakers) != NUM_SPEAKERS:
        raise data_error(
            place,
            "a mixture has two speakers",
            expected="segments of two speakers",
            got=f"{speakers[:5]}",
            remedy="correct the segments, or leave the recording out",
        )
    frames = [(speaker, round(ACTIVITY_HZ * start), round(ACTIVITY_HZ * end)) for speaker, start, end in segments]
    active = np.zeros((max(end for *_, end in frames), NUM_SPEAKERS), np.int8)
    for speaker, start, end in frames:
        active[start:end, speakers.index(speaker)] = 1
    return symbols_of(active)


def symbols_of(active):
    """Return one symbol per frame, from an array `[T, 2]` that is 1 if the speaker speaks in the frame and 0 otherwise."""
    return [str(value) for value in np.asarray(active) @ (1, 2)]


def segments_of(symbols):
    """Return the segments of a symbol sequence, sorted by speaker and start.

    Each segment is a label: `1 0.00 0.42` means speaker 1, from 0.00 s to 0.42 s.
    """
    values = np.array([int(symbol) for symbol in symbols], np.int8)
    segments = []
    for speaker in range(NUM_SPEAKERS):
        edges = np.flatnonzero(np.diff(values >> speaker & 1, prepend=0, append=0)) / ACTIVITY_HZ
        segments += [f"{speaker + 1} {start:.2f} {end:.2f}" for start, end in edges.reshape(-1, 2)]
    return segments


def loud_frames(waveform, *, sample_rate, range_db, max_gap_seconds):
    """Return whether the voice is heard in each 10 ms of a waveform of one speaker.

    Args:
        waveform: samples `[N]`.
        sample_rate: their rate in Hz.
        range_db: the voice is heard in a frame if the power of the frame is at most this much (dB) below the loudest frame.
        max_gap_seconds: shorter gaps, and gaps of this length, count as heard too.

    Returns:
        Boolean array `[T]`.
    """
    hop = sample_rate // ACTIVITY_HZ
    frames = waveform[: len(waveform) // hop * hop].reshape(-1, hop)
    power = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, 1) + 1e-12)
    heard = np.flatnonzero(power > power.max() - range_db)
    active = np.zeros(len(frames), bool)
    for start, end in zip(heard, [*heard[1:], heard[-1]]):
        is_short_gap = end - start <= max_gap_seconds * ACTIVITY_HZ
        active[start : (end if is_short_gap else start) + 1] = True
    return active
