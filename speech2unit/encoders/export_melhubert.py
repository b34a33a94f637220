"""A MelHuBERT as its authors' programs, and s3prl with them, load it."""

import numpy as np
import torch
from safetensors.torch import load_file

from speech2unit.encoders.models.melhubert_names import published_checkpoint
from storage.files import atomic, read_json


def export_melhubert(*, model, config, checkpoint, mean_std):
    """Stage: write the checkpoint, and mean and deviation of the log-Mel bins `[2, 40]` as .npy."""
    found, moments = published_checkpoint(load_file(model), read_json(config), config)
    with atomic(checkpoint) as temporary, open(temporary, "wb") as file:  # a path would be kept within, and the name is random
        torch.save(found, file)
    with atomic(mean_std) as temporary, open(temporary, "wb") as file:
        np.save(file, moments.numpy())
