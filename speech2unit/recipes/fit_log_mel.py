"""Fit the log-Mel encoder: mean and standard deviation of each Mel bin over the training split."""

import torch

from speech2unit.encoders.models.log_mel import NUM_MELS, log_mel, without_loudness
from speech2unit.recipes.speech_batches import read_waveforms, training_rows
from storage.progress import progress
from storage.weights import save_config, save_tensors


def mean_and_std(mels):
    """Return mean and standard deviation `[40]` over all frames of an iterable of log-Mel energies `[T_i, 40]`."""
    total = torch.zeros(NUM_MELS, dtype=torch.float64)
    total_of_squares = torch.zeros(NUM_MELS, dtype=torch.float64)
    num_frames = 0
    for mel in mels:
        total = total + mel.double().sum(0)
        total_of_squares = total_of_squares + mel.double().square().sum(0)
        num_frames = num_frames + len(mel)
    mean = total / num_frames
    variance = (total_of_squares / num_frames - mean**2).clamp_min(1e-8)
    return mean.float(), variance.sqrt().float()


def fit_log_mel(*, manifests, model, config, roots, frame_ms, subtract_loudness, std_per_bin):
    """Stage: fit the front end on the training splits of several corpora.

    Args:
        manifests: list of tables of `MANIFEST`, one per corpus.
        model: safetensors file to write, with the tensors `mean` and `std`, `[40]` each.
        config: JSON file to write, with the settings of the front end.
        roots: root folder of each corpus.
        frame_ms: time from one frame to the next, 10 or 20 ms.
        subtract_loudness: whether the loudness of each utterance is subtracted first, see `without_loudness`.
        std_per_bin: True: each bin has its own standard deviation, as published. False: all bins share the mean of these
            deviations, so that bins with more variance stay stronger.
    """
    rows = list(training_rows(manifests, roots))
    mels = (log_mel(waveform) for waveform, _ in progress(read_waveforms(rows), "utterances", total=len(rows)))
    mean, std = mean_and_std(without_loudness(mel) if subtract_loudness else mel for mel in mels)
    save_tensors(model, dict(mean=mean, std=std if std_per_bin else std.mean().expand(NUM_MELS)))
    save_config(config, dict(architecture="log_mel", subtract_loudness=subtract_loudness, frame_ms=frame_ms))
