"""Diarization: who speaks when, as segments and as frames, and the diarization error rate.

A segment is a label such as `1 0.00 0.42`: the speaker, counted from 1, and start and end in seconds.
"""

import warnings
from math import ceil

import numpy as np

from evaluation.metrics import Metric, ratio

ERRORS = ("missed detection", "false alarm", "confusion")  # as pyannote.metrics calls them


def parse_segments(labels):
    """Return (speaker, start, end) of each label; the speaker is text."""
    parts = [label.split() for label in labels]
    return [(speaker, float(start), float(end)) for speaker, start, end in parts]


def frames_of_segments(labels, num_frames, hop_seconds, num_speakers):
    """Return a float32 array `[num_frames, num_speakers]`, which is 1 if the speaker speaks in the middle of the frame.

    Args:
        labels: segments as labels, such as `1 0.00 0.42`.
        num_frames: number of frames.
        hop_seconds: seconds from one frame to the next.
        num_speakers: number of speakers.
    """
    active = np.zeros((num_frames, num_speakers), np.float32)
    for speaker, start, end in parse_segments(labels):
        first = max(_first_frame_from(start, hop_seconds), 0)
        stop = max(_first_frame_from(end, hop_seconds), 0)
        active[first:stop, int(speaker) - 1] = 1
    return active


def _first_frame_from(seconds, hop_seconds):
    """Return the number of the first frame whose middle is at `seconds` or later."""
    return ceil(round(seconds / hop_seconds - 0.5, 6))


def segments_of_frames(active, hop_seconds, median_frames):
    """Return the segments in which speakers are active, as labels sorted by speaker and start.

    Args:
        active: booleans `[T, speakers]`.
        hop_seconds: seconds from one frame to the next.
        median_frames: width in frames of the median filter that is applied first; 1: no filter.
    """
    from scipy.ndimage import median_filter

    active = median_filter(np.asarray(active, np.int8), (median_frames, 1), mode="constant")
    labels = []
    for speaker, column in enumerate(active.T, 1):
        edges = np.flatnonzero(np.diff(column, prepend=0, append=0)) * hop_seconds
        labels += [f"{speaker} {start:.2f} {end:.2f}" for start, end in edges.reshape(-1, 2)]
    return labels


def diarization_error_rate(collar_seconds):
    """Return the diarization error rate as a `Metric` of `evaluation.metrics`.

    It is the time of missed speech, false alarms and confused speakers, divided by the time of speech in the reference.

    Args:
        collar_seconds: the time up to this distance from each start and end of a reference segment does not count.
    """
    return Metric(lambda frame: error_statistics(frame, collar_seconds), ratio, False, True)


def error_statistics(frame, collar_seconds):
    """Return `[N, 2]`: seconds of errors and seconds of speech of each row, summed over speakers.

    In each row, the speakers of the hypothesis are matched with those of the reference so that the error is smallest.
    """
    from pyannote.metrics.diarization import DiarizationErrorRate

    metric = DiarizationErrorRate(collar=2 * collar_seconds)
    statistics = []
    for reference, hypothesis in zip(frame.labels, frame.predicted_labels):
        components = _components(metric, reference, hypothesis)
        statistics.append([sum(components[error] for error in ERRORS), components["total"]])
    return np.array(statistics, float).reshape(-1, 2)


def _components(metric, reference, hypothesis):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*uem.* was approximated")  # the whole recording is labelled
        return metric.compute_components(_annotation(reference), _annotation(hypothesis))


def _annotation(labels):
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for track, (speaker, start, end) in enumerate(parse_segments(labels)):
        annotation[Segment(start, end), track] = speaker
    return annotation
