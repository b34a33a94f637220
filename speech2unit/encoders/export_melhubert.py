"""Write a MelHuBERT in the format of its authors, which their programs and s3prl load."""

import numpy as np
import torch

from speech2unit.encoders.models.melhubert_checkpoints import published_checkpoint
from storage.files import atomic, read_json
from storage.weights import load_tensors


def export_melhubert(*, model, config, checkpoint, mean_std):
    """Stage: write a checkpoint in the published format. The encoder may be pruned, but not factorized.

    Args:
        model, config: model.safetensors and config.json of the encoder.
        checkpoint: PyTorch file to write, in the published format.
        mean_std: .npy file to write, with mean and standard deviation of the log-Mel bins, `[2, 40]`.

    Raises:
        ValueError: if the format cannot express the encoder, see `published_checkpoint`.
    """
    contents, moments = published_checkpoint(load_tensors(model), read_json(config), config)
    # torch.save would store the random name of a temporary path in the file, so it gets an open file.
    with atomic(checkpoint) as temporary, open(temporary, "wb") as file:
        torch.save(contents, file)
    with atomic(mean_std) as temporary, open(temporary, "wb") as file:
        np.save(file, moments.numpy())
