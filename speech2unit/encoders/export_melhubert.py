"""Write a MelHuBERT in the format of its authors, which their programs and s3prl load."""

import numpy as np
import torch
from safetensors.torch import load_file

from speech2unit.encoders.models.melhubert_names import published_checkpoint
from storage.files import atomic, read_json


def export_melhubert(*, model, config, checkpoint, mean_std):
    """Stage: write a checkpoint in the published format.

    Args:
        model, config: model.safetensors and config.json of the encoder.
        checkpoint: PyTorch file to write, in the published format.
        mean_std: .npy file to write, with mean and standard deviation of the log-Mel bins, `[2, 40]`.

    Raises:
        ValueError: if the format has no place for the encoder's several sets of targets, or for a front end that subtracts the
            loudness.
    """
    contents, moments = published_checkpoint(load_file(model), read_json(config), config)
    # torch.save would store the random name of a temporary path in the file, so it gets an open file.
    with atomic(checkpoint) as temporary, open(temporary, "wb") as file:
        torch.save(contents, file)
    with atomic(mean_std) as temporary, open(temporary, "wb") as file:
        np.save(file, moments.numpy())
