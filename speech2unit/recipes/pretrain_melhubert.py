"""Pre-training of a MelHuBERT: predict the pseudo-labels of masked frames from the frames around them.

The input is augmented, and the targets are those of the speech as recorded. So the encoder learns to ignore what differs
between speakers and rooms.

**Source:** MelHuBERT, arXiv 2211.09944; the augmentation is ours.
"""

from dataclasses import asdict, replace

import torch

from speech2unit.encoders.models.log_mel import load_front_end
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.masked_frames import read_targets
from speech2unit.recipes.objectives import masked_prediction
from speech2unit.recipes.speech_batches import training_rows
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device


def pretrain_melhubert(
    *,
    manifests,
    targets,
    front_end,
    front_end_config,
    model,
    config,
    training,
    roots,
    num_targets,
    sizes,
    dropout,
    data,
    num_updates,
    optimization,
    seed,
):
    """Stage: pre-train a MelHuBERT.

    Args:
        manifests, roots: manifest and folder of each corpus, whose training splits are used.
        targets: tables of units, the pseudo-labels, see `read_targets`.
        front_end, front_end_config: the two files of the encoder whose front end the model shares.
        model, config, training: files to write: tensors, settings and the training curve.
        num_targets: number of pseudo-labels of each codebook.
        sizes: fields of `MelHuBERTConfig` other than `num_targets`.
        dropout: dropout rate during training.
        data: settings of `masked_prediction`, and `min_frames`: utterances with fewer frames are left out.
        num_updates: number of updates.
        optimization: settings of `training.fit.fit`.
        seed: seed of all random numbers.
    """
    torch.manual_seed(seed)
    shared_front_end = replace(load_front_end(front_end, front_end_config), frame_ms=sizes["frame_ms"])
    rows = []
    for path, row in training_rows(manifests, roots):
        if shared_front_end.num_frames(row["num_samples"]) >= data["min_frames"]:
            rows.append((path, row))
    labels = read_targets(targets, {row["utterance_id"]: shared_front_end.num_frames(row["num_samples"]) for _, row in rows})
    encoder_config = MelHuBERTConfig(**sizes, num_targets=tuple(num_targets))
    encoder = MelHuBERTModel(encoder_config, dropout).to(choose_device())
    data_settings = {name: value for name, value in data.items() if name != "min_frames"}
    objective = masked_prediction(encoder, shared_front_end, rows, labels, **data_settings, seed=seed)
    curve = objective.train(encoder, num_updates=num_updates, optimization=optimization, seed=seed)
    save_tensors(model, encoder.state_dict() | dict(mean=shared_front_end.mean, std=shared_front_end.std))
    settings = dict(architecture="melhubert", subtract_loudness=shared_front_end.subtract_loudness)
    save_config(config, settings | asdict(encoder_config))
    tables.write(training, curve, TRAINING)
