"""Who speaks when: segments as labels, frames, and the diarization error rate.

A segment is a label `1 0.00 0.42`: speaker, counted from 1, start and end in seconds.
"""

import warnings
from math import ceil

import numpy as np

from evaluation.metrics import Metric, ratio


def parsed(labels):
    """(speaker, start, end) of each label."""
    parts = (label.split() for label in labels)
    return [(speaker, float(start), float(end)) for speaker, start, end in parts]


def frames_of(labels, num_frames, hop_seconds, num_speakers):
    """Segments → float32 `[num_frames, num_speakers]`: 1 where a speaker is heard in the middle of the frame."""
    active = np.zeros((num_frames, num_speakers), np.float32)
    for speaker, *times in parsed(labels):
        first, behind = (ceil(round(seconds / hop_seconds - 0.5, 6)) for seconds in times)
        active[max(first, 0) : max(behind, 0), int(speaker) - 1] = 1
    return active


def segments_of_frames(active, hop_seconds, median_frames):
    """Booleans `[T, speakers]` → segments as labels, by speaker and start; a median over so many frames comes first."""
    from scipy.ndimage import median_filter

    active = median_filter(np.asarray(active, np.int8), (median_frames, 1), mode="constant")
    edges = (np.flatnonzero(np.diff(row, prepend=0, append=0)).reshape(-1, 2) * hop_seconds for row in active.T)
    return [f"{speaker} {start:.2f} {end:.2f}" for speaker, pairs in enumerate(edges, 1) for start, end in pairs]


def der(collar_seconds):
    """The diarization error rate as a metric of `evaluation.metrics`: seconds missed, invented or of the wrong speaker, over
    the seconds that speakers speak, both but for `collar_seconds` on either side of where a segment said begins or ends.
    """
    return Metric(lambda frame: der_statistics(frame, collar_seconds), ratio, False, True)


def der_statistics(frame, collar_seconds):
    """`[N, 2]`: seconds of errors, seconds of speech (of each speaker). The speakers are matched as suits a row best."""
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=2 * collar_seconds)
    found = [_components(metric, said, told) for said, told in zip(frame.labels, frame.predicted_labels)]
    names = "missed detection", "false alarm", "confusion"
    return np.array([[sum(each[name] for name in names), each["total"]] for each in found], float).reshape(-1, 2)


def _components(metric, said, told):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*uem.* was approximated")  # it is all of the recording that is labelled
        return metric.compute_components(_annotation(said), _annotation(told))


def _annotation(labels):
    from pyannote.core import Annotation, Segment

    found = Annotation()
    for track, (speaker, start, end) in enumerate(parsed(labels)):
        found[Segment(start, end), track] = speaker
    return found
