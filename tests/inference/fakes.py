"""A recognizer that needs no bundle, and recordings for it."""

import math

import numpy as np
import soundfile

from inference.recognition import Answer, Recognition
from speech2unit.corpora.audio import BadAudio


class FakeRecognizer:
    """Answers `loud` or `quiet`. The score depends on the whole batch, so that other batches give other scores."""

    def __init__(self, input_kind="audio"):
        self.input_kind = input_kind
        self.sample_rate = None if input_kind == "units" else 16_000
        self.labels = ["loud", "quiet"]
        self.description = dict(corpus="other", best_seed=1)
        self.batch_sizes = []
        self.names = []

    def stream(self, inputs, batch_size=32, num_best=5, names=None):
        """As `Recognizer.stream`, for a single batch."""
        inputs = list(inputs)
        self.names += names
        assert len(inputs) <= batch_size
        if not inputs:
            return
        self.batch_sizes.append(len(inputs))
        levels = [self._level(item) for item in inputs]
        score = math.log(0.5 + 0.4 / len(inputs) * min(1, sum(levels)))
        for item, level in zip(inputs, levels):
            if self.input_kind == "units" and max(item) > 8:
                yield BadAudio("units", "not_units", f"{max(item)} is no unit")
                continue
            labels = ("loud",) if level > 0.1 else ("quiet",)
            other = ("quiet",) if level > 0.1 else ("loud",)
            n_best = (Answer(labels, score), Answer(other, math.log1p(-math.exp(score))))[:num_best]
            seconds = None if self.input_kind == "units" else len(item[0]) / item[1]
            yield Recognition(labels=labels, score=score, n_best=n_best, units=np.array([3, 1]), seconds=seconds)

    def _level(self, item):
        samples = np.asarray(item) / 10 if self.input_kind == "units" else item[0]
        return float(np.abs(samples).mean())


def write_recording(path, level, seconds=0.1, seed=0):
    """Write noise of a level from 0 to 1; `level` 0.3 is loud for the `FakeRecognizer`, 0.01 quiet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-2 * level, 2 * level, round(16_000 * seconds))
    soundfile.write(path, np.clip(noise, -1, 1), 16_000)
    return path
