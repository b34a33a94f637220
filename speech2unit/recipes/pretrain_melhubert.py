"""Pre-training of a MelHuBERT: predict the pseudo-labels of masked frames from the frames around them.

The input is augmented, but the targets are those of the speech as recorded. So the encoder learns to ignore differences between
speakers and rooms.

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
    initialization,
    dropout,
    data,
    num_updates,
    optimization,
    seed,
):
    """Stage: pre-train a MelHuBERT.

    Args:
        manifests, roots: manifest and root folder of each corpus. Their training splits are used.
        targets: tables of `UNITS`, the pseudo-labels, see `read_targets`.
        front_end, front_end_config: model.safetensors and config.json of the encoder whose front end the model shares.
        model, config: model.safetensors and config.json to write.
        training: table of `TRAINING` to write, the training curve.
        num_targets: size of each codebook that the pseudo-labels come from.
        sizes: fields of `MelHuBERTConfig` other than `num_targets`.
        initialization: how the matrices of the blocks start, see `MelHuBERTModel.initialize_blocks`.
        dropout: dropout probability during training, from 0 to 1.
        data: the batches:
            augmentation: fields of `speech2unit.recipes.augment.Augmentation`.
            mask: `probability`, `span` (frames) and `min_spans`, see `speech2unit.recipes.masked_frames.span_mask`.
            unmasked_weight: weight of the loss over frames that are not masked.
            min_frames: utterances with fewer frames are left out.
            max_crop_frames: longer utterances are cropped to this number of frames.
            batch_frames: number of frames per batch.
            dev_fraction: fraction of the utterances that is held out to measure the dev loss, from 0 to 1.
        num_updates: number of optimizer updates.
        optimization: arguments of `training.fit.fit`:
            batches_per_update: number of batches whose gradients are summed.
            learning_rate: peak learning rate.
            warmup_updates: number of updates until the peak.
            decay: what the learning rate does after the peak, a key of `training.fit.DECAYS`.
            clip_norm: largest L2 norm of the gradient.
            betas: AdamW's two decay rates.
            weight_decay: AdamW's weight decay.
            evaluate_every: number of updates between two measurements of the dev loss.
        seed: seed of all random numbers.

    Raises:
        ValueError: if the units do not fit the frames, or no utterance is left for the dev loss or for training.
    """
    torch.manual_seed(seed)
    shared_front_end = replace(load_front_end(front_end, front_end_config), frame_ms=sizes["frame_ms"])
    rows = []
    for path, row in training_rows(manifests, roots):
        if shared_front_end.num_frames(row["num_samples"]) >= data["min_frames"]:
            rows.append((path, row))
    labels = read_targets(targets, {row["utterance_id"]: shared_front_end.num_frames(row["num_samples"]) for _, row in rows})
    encoder_config = MelHuBERTConfig(**sizes, num_targets=tuple(num_targets))
    encoder = MelHuBERTModel(encoder_config, dropout)
    encoder.initialize_blocks(initialization)
    encoder.to(choose_device())
    data_settings = {name: value for name, value in data.items() if name != "min_frames"}
    objective = masked_prediction(encoder, shared_front_end, rows, labels, **data_settings, seed=seed)
    curve = objective.train(encoder, num_updates=num_updates, optimization=optimization, seed=seed)
    save_tensors(model, encoder.state_dict() | dict(mean=shared_front_end.mean, std=shared_front_end.std))
    settings = dict(architecture="melhubert", subtract_loudness=shared_front_end.subtract_loudness)
    save_config(config, settings | asdict(encoder_config))
    tables.write(training, curve, TRAINING)
