"""Write a MelHuBERT in the format of its authors, which their programs and s3prl load."""

import numpy as np
import torch
from safetensors.torch import load_file

from speech2unit.encoders.models.melhubert_names import published_checkpoint
from storage.files import atomic, read_json


def export_melhubert(*, model, config, checkpoint, mean_std):
    """Stage: write a checkpoint in the published format.

    Args:
        model: path of the encoder's tensors.
        config: path of its settings.
        checkpoint: path of the checkpoint to write.
        mean_std: path of the .npy file to write: mean and standard deviation of the log-Mel bins, `[2, 40]`.

    Raises:
        ValueError: see `published_checkpoint`.
    """
    contents, moments = published_checkpoint(load_file(model), read_json(config), config)
    # torch.save would store the random name of a temporary path in the file, so it gets an open file.
    with atomic(checkpoint) as temporary, open(temporary, "wb") as file:
        torch.save(contents, file)
    with atomic(mean_std) as temporary, open(temporary, "wb") as file:
        np.save(file, moments.numpy())
