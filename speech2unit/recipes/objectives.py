"""Training objectives of encoders: batches of speech, a loss, and the loss on held-out speech.

A MelHuBERT predicts the pseudo-labels of masked frames (`masked_prediction`), or learns the posteriors that its teacher computes
(`teacher_posteriors`). Published encoders such as wav2vec 2.0 come without pseudo-labels and without the heads that predict them.
When such an encoder is compressed, it learns the hidden states of its parent (`parent_states`), so that codebooks of the parent
still fit.

`rows` is always a list of pairs (path of an audio file, manifest row).
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from speech2unit.encoders.models.log_mel import HOP_SAMPLES
from speech2unit.recipes.augment import Augmentation
from speech2unit.recipes.masked_frames import IGNORE_INDEX, collate, make_example, masked_loss
from speech2unit.recipes.speech_batches import batches_by_length, random_segment, read_waveforms, split_off_dev
from training.fit import SeededBatches, fit

DEV_BATCH_SIZE = 32  # utterances per batch of held-out speech
COSINE_WEIGHT = 1.0  # argument of `layer_losses`, as published
NO_MASK = dict(probability=0.0, span=1, min_spans=0)


@dataclass(frozen=True)
class Objective:
    """What an encoder is trained for; see `build_objective`."""

    batches: Callable  # maps a number (0, 1, …) to an endless iterator over training batches
    loss: Callable  # maps a batch to the sum of losses in nats and the number of targets
    evaluate: Callable  # returns dict(loss=…), the mean over the held-out utterances; has no arguments
    subset_batches: Callable  # maps a fraction to batches of this part of the training utterances, each of them once

    def train(self, model, *, num_updates, optimization, seed):
        """Train a model.

        Args:
            model: `torch.nn.Module`, trained in place.
            num_updates: number of updates.
            optimization: arguments of `training.fit.fit`.
            seed: seed of the random numbers in the loss.

        Returns:
            The training curve, rows of `storage.schemas.TRAINING`.
        """
        return fit(
            model,
            loss=self.loss,
            batches=self.batches,
            evaluate=self.evaluate,
            num_updates=num_updates,
            rate_factors={},
            seed=seed,
            **optimization,
        )


def build_objective(
    rows, make_batch, loss, dev_loss, *, max_crop_frames, batch_frames, dev_fraction, seed, hop_length=HOP_SAMPLES
):
    """Return the `Objective` of a loss over batches of utterances.

    Args:
        rows: list of (path of the audio, manifest row) pairs.
        make_batch: function that makes a batch from such a list and a `numpy.random.Generator`.
        loss: function that maps a batch to the sum of losses in nats and the number of targets.
        dev_loss: the same for held-out utterances.
        max_crop_frames: longer utterances are cropped to this number of frames.
        batch_frames: number of frames per batch.
        dev_fraction: fraction of the utterances that is held out.
        seed: seed of the split and of the batches.
        hop_length: samples per frame.

    Raises:
        ValueError: if no utterance would be left for the dev loss, or none for training.
    """
    dev_rows, train_rows = split_off_dev(rows, dev_fraction, seed)

    def batches(number):
        rng = np.random.default_rng([seed, number])
        choices = batches_by_length(train_rows, batch_frames, max_crop_frames, rng, hop_length)
        return SeededBatches(choices, lambda positions, rng: make_batch([train_rows[i] for i in positions], rng), [seed, number])

    def batches_in_order(chosen_rows):
        rng = np.random.default_rng(seed)
        for start in range(0, len(chosen_rows), DEV_BATCH_SIZE):
            yield make_batch(chosen_rows[start : start + DEV_BATCH_SIZE], rng)

    def evaluate():
        total_loss = 0
        total_targets = 0
        for batch in batches_in_order(dev_rows):
            summed_loss, num_targets = dev_loss(batch)
            total_loss += float(summed_loss.detach())
            total_targets += num_targets
        return dict(loss=total_loss / total_targets)

    def subset_batches(fraction):
        order = np.random.default_rng([seed, len(train_rows)]).permutation(len(train_rows))
        size = max(1, round(fraction * len(train_rows)))
        return batches_in_order([train_rows[position] for position in order[:size]])

    return Objective(batches, loss, evaluate, subset_batches)


def masked_prediction(model, front_end, rows, labels, *, augmentation, mask, unmasked_weight, max_crop_frames, **batch_settings):
    """Return the objective of MelHuBERT's pre-training: predict the pseudo-labels of masked frames.

    Args:
        model: a `MelHuBERTModel`.
        front_end: its `FrontEnd`.
        rows: list of (path of the audio, manifest row) pairs.
        labels: dict from utterance_id to pseudo-labels `[T, sets]`.
        augmentation: fields of `Augmentation`.
        mask: settings of `span_mask`.
        unmasked_weight: weight of the loss over frames that are not masked, see `masked_loss`. It is 0 in the dev loss.
        max_crop_frames: see `build_objective`.
        batch_settings: other settings of `build_objective`.
    """
    augmentation = Augmentation(**augmentation)

    def make_batch(batch_rows, rng):
        examples = []
        for waveform, row in read_waveforms(batch_rows):
            targets = labels[row["utterance_id"]]
            examples.append(make_example(waveform, targets, front_end, augmentation, max_crop_frames, rng))
        return collate(examples, mask, rng)

    return build_objective(
        rows,
        make_batch,
        lambda batch: masked_loss(model, batch, unmasked_weight),
        lambda batch: masked_loss(model, batch, 0),
        max_crop_frames=max_crop_frames,
        hop_length=front_end.hop_length,
        **batch_settings,
    )


def teacher_posteriors(
    model, teacher, front_end, rows, *, augmentation, mask, max_crop_frames, temperature, masked, **batch_settings
):
    """Return the objective of learning the posteriors of pseudo-labels that a teacher computes.

    Args:
        model: a `MelHuBERTModel`, the student.
        teacher: a `MelHuBERTModel`, which this function freezes.
        front_end: the `FrontEnd` of both.
        rows: list of (path of the audio, manifest row) pairs.
        augmentation: fields of `Augmentation`.
        mask: settings of `span_mask`.
        max_crop_frames: see `build_objective`.
        temperature: see `posterior_loss`.
        masked: whether the same frames are masked for student and teacher, and the loss is over these frames. Otherwise no
            frame is masked, and the loss is over all frames.
        batch_settings: other settings of `build_objective`.
    """
    augmentation = Augmentation(**augmentation)
    freeze(teacher)

    def make_batch(batch_rows, rng):
        examples = []
        for waveform, _ in read_waveforms(batch_rows):
            no_targets = np.zeros((front_end.num_frames(len(waveform)), 1), np.int64)
            examples.append(make_example(waveform, no_targets, front_end, augmentation, max_crop_frames, rng))
        return collate(examples, mask if masked else NO_MASK, rng)

    def loss(batch):
        return posterior_loss(model, teacher, batch, temperature, masked)

    return build_objective(
        rows, make_batch, loss, loss, max_crop_frames=max_crop_frames, hop_length=front_end.hop_length, **batch_settings
    )


def parent_states(model, rows, *, max_crop_frames, **batch_settings):
    """Return the objective of a compressed model: keep the hidden states that the model has before compression.

    Args:
        model: a `FrameTransformer`, still equal to its parent. What comes before its blocks is frozen.
        rows: list of (path of the audio, manifest row) pairs. Utterances shorter than one frame are left out.
        max_crop_frames: see `build_objective`.
        batch_settings: other settings of `build_objective`.
    """
    model.freeze_inputs()
    number_blocks(model)
    teacher = freeze(copy.deepcopy(model))
    rows = [(path, row) for path, row in rows if row["num_samples"] >= model.config.min_samples]

    def make_batch(batch_rows, rng):
        return [torch.from_numpy(random_segment(waveform, max_crop_frames, rng)) for waveform, _ in read_waveforms(batch_rows)]

    def loss(batch):
        return state_loss(model, teacher, batch)

    return build_objective(rows, make_batch, loss, loss, max_crop_frames=max_crop_frames, **batch_settings)


def number_blocks(model):
    """Note in each block of a model which layer it computes, from 1. A block keeps this number when others are removed."""
    for number, block in enumerate(model.blocks, 1):
        block.parent_layer = number


def posterior_loss(student, teacher, batch, temperature, masked):
    """Return the summed divergence (nats) of the student's posteriors from the teacher's, and the number of targets.

    Args:
        student, teacher: two `MelHuBERTModel`.
        batch: the result of `collate`.
        temperature: temperature of both softmaxes.
        masked: whether the loss is over masked frames only.

    **Source:** Hinton et al., arXiv 1503.02531, eq. 1, and section 2.1 for the factor temperature².
    """
    device = next(student.parameters()).device
    frames, lengths, targets, mask = (part.to(device) for part in batch)
    is_selected = targets[..., 0] != IGNORE_INDEX
    if masked:
        is_selected = is_selected & mask
    with torch.no_grad():
        teacher_logits = teacher(frames, lengths)
    total = 0
    for logits, expected_logits in zip(student(frames, lengths), teacher_logits):
        log_posteriors = F.log_softmax(logits[is_selected].float() / temperature, -1)
        expected = F.log_softmax(expected_logits[is_selected].float() / temperature, -1)
        total = total + temperature**2 * F.kl_div(log_posteriors, expected, reduction="sum", log_target=True)
    return total, int(is_selected.sum()) * len(teacher_logits)


def state_loss(student, teacher, batch):
    """Return the distance of the student's hidden states from the teacher's, and the number of frames.

    The distance is summed over frames and averaged over layers; see `layer_losses`.

    Args:
        student, teacher: two `FrameTransformer` with the same front end. `number_blocks` has noted in each block of the student which
            layer of the teacher it learns.
        batch: list of waveforms `[N_i]`.
    """
    device = next(student.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        frames = [student.front_end(waveform.to(device)) for waveform in batch]
        teacher_states = list(teacher.hidden_states(frames))
    lengths = torch.tensor([len(f) for f in frames])
    states = list(student.hidden_states(frames))[1:]
    learned = [teacher_states[block.parent_layer] for block in student.blocks]
    total, num_frames = layer_losses(states, learned, lengths, range(len(states)), COSINE_WEIGHT)
    return total / len(states), num_frames


def layer_losses(states, teacher_states, lengths, layers, cosine_weight):
    """Return the distance of a student's hidden states from its teacher's, and the number of frames.

    The distance of two states is their mean squared error plus `cosine_weight` · −log σ(cosine similarity). It is summed over
    the layers and over all frames except padding, which the published code includes.

    Args:
        states, teacher_states: lists of `[B, T, D]`, layer 0 first.
        lengths: number of frames of each row, `[B]`.
        layers: numbers of the layers to compare.
        cosine_weight: weight of the second term.

    **Source:** DistilALHuBERT.
    """
    valid_mask = torch.arange(states[0].shape[1])[None] < lengths[:, None]
    valid_mask = valid_mask.to(states[0].device)
    total = 0
    for layer in layers:
        student = states[layer][valid_mask].float()
        teacher = teacher_states[layer][valid_mask].float()
        squared_error = (student - teacher).square().mean(-1)
        similarity = F.cosine_similarity(student, teacher, dim=-1)
        total = total + (squared_error - cosine_weight * F.logsigmoid(similarity)).sum()
    return total, int(lengths.sum())


def freeze(module):
    """Set a module to evaluation mode without gradients, and return it."""
    return module.eval().requires_grad_(False)
