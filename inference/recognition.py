"""What a `Recognizer` returns for one recording."""

import math
from dataclasses import dataclass, field

import numpy as np


def _no_units():
    return np.empty(0, int)


@dataclass(frozen=True)
class Answer:
    """One possible answer."""

    labels: tuple  # of str: one label, one per slot, or a sequence
    score: float | None  # log probability among the legal answers, in nats; None if the model gives none

    @property
    def label(self):
        """The labels as one text, with blanks between them."""
        return " ".join(self.labels)

    @property
    def probability(self):
        """Probability among the legal answers, 0 to 1; None without a score."""
        return None if self.score is None else math.exp(self.score)


@dataclass(frozen=True)
class Recognition(Answer):
    """The answer to one recording, with the units that it was read from."""

    n_best: tuple = ()  # of `Answer`s, the most probable first
    free_labels: tuple | None = None  # labels decoded over the whole vocabulary; None if that gave no legal answer
    free_units: tuple = ()  # of str: the symbols of this decoding
    units: np.ndarray = field(default_factory=_no_units, compare=False)  # reduced units `[N]`; empty for tasks inside an encoder
    durations: np.ndarray = field(default_factory=_no_units, compare=False)  # frames of each unit `[N]`
    frame_seconds: float | None = None  # s from one frame to the next; None for units without audio
    seconds: float | None = None  # length of the recording; None for units without audio

    @property
    def starts(self):
        """Start of each unit in s, `[N]`; None for units without audio."""
        if self.frame_seconds is None:
            return None
        return (np.cumsum(self.durations) - self.durations) * self.frame_seconds

    def to_dict(self):
        """Return everything as JSON-like values."""
        starts = None if self.starts is None else [round(float(start), 6) for start in self.starts]
        return dict(
            labels=list(self.labels),
            score=self.score,
            probability=self.probability,
            n_best=[dict(labels=list(a.labels), score=a.score, probability=a.probability) for a in self.n_best],
            free_labels=None if self.free_labels is None else list(self.free_labels),
            free_units=list(self.free_units),
            units=[int(unit) for unit in self.units],
            durations=[int(duration) for duration in self.durations],
            starts=starts,
            frame_seconds=self.frame_seconds,
            seconds=self.seconds,
        )
