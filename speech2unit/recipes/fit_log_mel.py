"""The log-Mel encoder: mean and standard deviation of each Mel bin over the training split."""

from pathlib import Path

import torch

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import NUM_MELS, SAMPLE_RATE_HZ, log_mel, without_loudness
from storage import tables
from storage.progress import progress
from storage.weights import save_config, save_tensors


def moments(frames):
    """Mean and standard deviation `[D]` over all rows of an iterable of `[T, D]`."""
    total, squares, count = torch.zeros(NUM_MELS, dtype=torch.float64), torch.zeros(NUM_MELS, dtype=torch.float64), 0
    for part in frames:
        total, squares, count = total + part.double().sum(0), squares + part.double().square().sum(0), count + len(part)
    mean = total / count
    return mean.float(), (squares / count - mean**2).clamp_min(1e-8).sqrt().float()


def training_rows(manifests, roots):
    """(path, row) of the training utterances as recorded (no copies at other speeds) of several corpora."""
    for manifest, root in zip(manifests, roots):
        for row in tables.read(manifest, MANIFEST).to_pylist():
            if row["split"] == "train" and row["speed"] == 1:
                yield Path(root) / row["path"], row


def fit_log_mel(*, manifests, model, config, roots, frame_ms, subtract_loudness, std_per_bin):
    """Stage: write `mean` and `std` `[40]` and the front end's settings.

    std_per_bin: every bin is scaled to deviation 1, as published; else all by one number, which keeps loud bins loud.
    """
    rows = list(training_rows(manifests, roots))
    mels = (log_mel(read_utterance(path, row, sample_rate=SAMPLE_RATE_HZ)) for path, row in progress(rows, "utterances"))
    mean, std = moments(without_loudness(mel) if subtract_loudness else mel for mel in mels)
    save_tensors(model, dict(mean=mean, std=std if std_per_bin else std.mean().expand(NUM_MELS)))
    save_config(config, dict(architecture="log_mel", subtract_loudness=subtract_loudness, frame_ms=frame_ms))
