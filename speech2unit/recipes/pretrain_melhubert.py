"""Pre-training of a MelHuBERT: the pseudo-labels of masked frames are predicted from the frames around them.

The input is augmented and the targets are those of the speech as recorded, so that what changes between speakers and
rooms is worth nothing to the encoder.
"""

from dataclasses import asdict, replace

import torch

from speech2unit.encoders.models.log_mel import load_front_end
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.fit_log_mel import training_rows
from speech2unit.recipes.masked_frames import read_targets
from speech2unit.recipes.objectives import masked_prediction
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device
from training.fit import fit


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
    frame_ms,
    num_layers,
    dim,
    ffn_dim,
    num_heads,
    conv_kernel,
    conv_groups,
    dropout,
    augmentation,
    mask_probability,
    mask_span_frames,
    min_mask_spans,
    unmasked_weight,
    min_frames,
    max_crop_frames,
    batch_frames,
    batches_per_update,
    dev_fraction,
    num_updates,
    learning_rate,
    decay,
    warmup_updates,
    clip_norm,
    adam_betas,
    weight_decay,
    evaluate_every,
    seed,
):
    """Stage: pre-train on the training splits of several corpora; `dev_fraction` of the utterances only judge the loss."""
    torch.manual_seed(seed)
    end = replace(load_front_end(front_end, front_end_config), frame_ms=frame_ms)
    rows = [(path, row) for path, row in training_rows(manifests, roots) if end.num_frames(row["num_samples"]) >= min_frames]
    labels = read_targets(targets, {row["utterance_id"]: end.num_frames(row["num_samples"]) for _, row in rows})
    mask = dict(probability=mask_probability, span=mask_span_frames, min_spans=min_mask_spans)
    sizes = MelHuBERTConfig(num_layers, dim, ffn_dim, num_heads, conv_kernel, conv_groups, tuple(num_targets), frame_ms)
    encoder = MelHuBERTModel(sizes, dropout).to(choose_device())
    found = masked_prediction(
        encoder,
        end,
        rows,
        labels,
        augmentation=augmentation,
        mask=mask,
        unmasked_weight=unmasked_weight,
        max_crop_frames=max_crop_frames,
        batch_frames=batch_frames,
        dev_fraction=dev_fraction,
        seed=seed,
    )
    curve = fit(
        encoder,
        loss=found.loss,
        batches=found.batches,
        batches_per_update=batches_per_update,
        evaluate=found.evaluate,
        num_updates=num_updates,
        learning_rate=learning_rate,
        rate_factors={},
        warmup_updates=warmup_updates,
        clip_norm=clip_norm,
        betas=adam_betas,
        weight_decay=weight_decay,
        evaluate_every=evaluate_every,
        seed=seed,
        decay=decay,
    )
    save_tensors(model, encoder.state_dict() | dict(mean=end.mean, std=end.std))
    save_config(config, dict(architecture="melhubert", subtract_loudness=end.subtract_loudness) | asdict(sizes))
    tables.write(training, curve, TRAINING)
