"""What an encoder that is made of another one is trained on: batches of speech, a loss, and the same loss on held-out speech.

A MelHuBERT goes on predicting the pseudo-labels of masked frames, or learns what its teacher makes of them. A published
wav2vec 2.0 style encoder has neither the labels nor the heads of its pre-training any more: it learns the hidden states of
the encoder that it was. Units are made of those, so that codebooks fitted on the parent stay of use.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from speech2unit.corpora.audio import read_utterance
from speech2unit.encoders.models.log_mel import HOP_SAMPLES, MIN_SAMPLES, SAMPLE_RATE_HZ
from speech2unit.recipes.augment import Augmentation
from speech2unit.recipes.masked_frames import IGNORE_INDEX, batches_by_length, collate, example, masked_loss
from storage.errors import data_error
from training.fit import SeededBatches

DEV_ROWS = 32  # utterances a batch that judges the loss
COSINE_WEIGHT = 1.0  # of layer_losses, as published
NO_MASK = dict(probability=0.0, span=1, min_spans=0)


@dataclass(frozen=True)
class Objective:
    """What `training.fit.fit` asks for, and the batches of the training utterances once over."""

    batches: Callable  # number from 0 → endless iterator of batches
    loss: Callable  # batch → (sum of losses, number of targets)
    evaluate: Callable  # () → dict(loss=…) of the held-out utterances
    subset_batches: Callable  # fraction of the training utterances → iterator of batches; the last one may be short


def objective(rows, make, loss, dev_loss, *, max_crop_frames, batch_frames, dev_fraction, seed, hop_length=HOP_SAMPLES):
    """The `Objective` on (path, manifest row) of utterances. `make`: list of them, generator of random numbers → batch.

    `batch_frames` and `max_crop_frames` are of `hop_length` samples.
    """
    dev, rows = split_off_dev(rows, dev_fraction, seed)

    def batches(number):
        chosen = batches_by_length(rows, batch_frames, max_crop_frames, np.random.default_rng([seed, number]), hop_length)
        return SeededBatches(chosen, lambda positions, rng: make([rows[i] for i in positions], rng), [seed, number])

    def in_turn(chosen):
        rng = np.random.default_rng(seed)
        return (make(chosen[i : i + DEV_ROWS], rng) for i in range(0, len(chosen), DEV_ROWS))

    def evaluate():
        losses = [dev_loss(batch) for batch in in_turn(dev)]
        return dict(loss=sum(float(loss.detach()) for loss, _ in losses) / sum(number for _, number in losses))

    def subset_batches(fraction):
        order = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
        return in_turn([rows[i] for i in order[: max(1, round(fraction * len(rows)))]])

    return Objective(batches, loss, evaluate, subset_batches)


def split_off_dev(rows, dev_fraction, seed):
    """Some utterances for the dev loss, the rest for training. Raises `ValueError` where one of them would be empty."""
    order = np.random.default_rng(seed).permutation(len(rows))
    num_dev = int(len(rows) * dev_fraction)
    if not 0 < num_dev < len(rows):
        raise data_error(
            "pre-training",
            "some utterances train and some judge the loss",
            expected="at least one of each",
            got=f"{num_dev} of {len(rows)} for the loss",
            remedy="raise dev_fraction or add speech",
        )
    return [rows[i] for i in order[:num_dev]], [rows[i] for i in order[num_dev:]]


def masked_prediction(model, front_end, rows, labels, *, augmentation, mask, unmasked_weight, max_crop_frames, **settings):
    """A MelHuBERT's own pre-training, on pseudo-labels `labels` (utterance_id → `[T, sets]`)."""

    def make(chosen, rng):
        read = ((waveform, labels[row["utterance_id"]]) for waveform, row in read_waveforms(chosen))
        return collate([example(w, t, front_end, Augmentation(**augmentation), max_crop_frames, rng) for w, t in read], mask, rng)

    return objective(
        rows,
        make,
        lambda batch: masked_loss(model, batch, unmasked_weight),
        lambda batch: masked_loss(model, batch, 0),
        max_crop_frames=max_crop_frames,
        hop_length=front_end.hop_length,
        **settings,
    )


def teacher_posteriors(model, teacher, front_end, rows, *, augmentation, mask, max_crop_frames, temperature, masked, **settings):
    """What a MelHuBERT `teacher` expects the pseudo-labels to be. `masked`: of masked frames, from those around them (the
    teacher sees the student's mask); else of all frames, which both see.
    """
    freeze(teacher)

    def make(chosen, rng):
        read = (
            (waveform, np.zeros((front_end.num_frames(len(waveform)), 1), np.int64)) for waveform, _ in read_waveforms(chosen)
        )
        examples = [example(w, t, front_end, Augmentation(**augmentation), max_crop_frames, rng) for w, t in read]
        return collate(examples, mask if masked else NO_MASK, rng)

    def loss(batch):
        return posterior_loss(model, teacher, batch, temperature, masked)

    return objective(rows, make, loss, loss, max_crop_frames=max_crop_frames, hop_length=front_end.hop_length, **settings)


def parent_states(model, rows, *, max_crop_frames, **settings):
    """Hidden states of what a wav2vec 2.0 style model is before it is cut; what comes before its blocks stays as it is."""
    model.pos_conv.prepare()
    teacher = freeze(copy.deepcopy(model))
    for part in (model.front_end, model.pos_conv):
        freeze(part)
    rows = [(path, row) for path, row in rows if row["num_samples"] >= model.config.min_samples]

    def make(chosen, rng):
        return [torch.from_numpy(random_segment(waveform, max_crop_frames, rng)) for waveform, _ in read_waveforms(chosen)]

    def loss(batch):
        return state_loss(model, teacher, batch)

    return objective(rows, make, loss, loss, max_crop_frames=max_crop_frames, **settings)


def posterior_loss(student, teacher, batch, temperature, masked):
    """Summed divergence (nats) of the student's from the teacher's posteriors over frames that are real; number of targets.

    **Source:** Hinton et al., arXiv 1503.02531, eq. 1 and section 2.1 (the square of the temperature).
    """
    device = next(student.parameters()).device
    frames, lengths, targets, mask = (part.to(device) for part in batch)
    chosen = targets[..., 0] != IGNORE_INDEX
    chosen, total = chosen & mask if masked else chosen, 0
    with torch.no_grad():
        wanted = teacher(frames, lengths)
    for logits, expected in zip(student(frames, lengths), wanted):
        found, expected = (F.log_softmax(x[chosen].float() / temperature, -1) for x in (logits, expected))
        total = total + temperature**2 * F.kl_div(found, expected, reduction="sum", log_target=True)
    return total, int(chosen.sum()) * len(wanted)


def state_loss(student, teacher, batch):
    """Summed distance of the student's hidden states from the teacher's over real frames, mean of the layers; number of frames."""
    device = next(student.parameters()).device
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        frames = [student.front_end(waveform.to(device)) for waveform in batch]
        wanted = list(teacher.states(frames))
    lengths, layers = torch.tensor([len(f) for f in frames]), range(1, len(wanted))
    total, number = layer_losses(list(student.states(frames)), wanted, lengths, layers, COSINE_WEIGHT)
    return total / len(layers), number


def layer_losses(states, targets, lengths, layers, cosine_weight):
    """Sum over the layers and real frames of the distance of the student's states from the teacher's; number of real frames.

    states, targets: a list `[B, T, D]` each, layer 0 first; `lengths` `[B]`: what lies behind them counts for nothing.
    The distance is the mean squared error plus `cosine_weight` · −log σ(cosine similarity). **Source:** DistilALHuBERT; the
    published code averages over padding as well.
    """
    real, total = torch.arange(states[0].shape[1])[None] < lengths[:, None], 0
    real = real.to(states[0].device)
    for layer in layers:
        student, teacher = states[layer][real].float(), targets[layer][real].float()
        error = (student - teacher).square().mean(-1)
        total = total + (error - cosine_weight * F.logsigmoid(F.cosine_similarity(student, teacher, dim=-1))).sum()
    return total, int(lengths.sum())


def read_waveforms(chosen):
    """(waveform `[N]` float32 at 16 kHz, manifest row) of each utterance."""
    for path, row in chosen:
        yield read_utterance(path, row, sample_rate=SAMPLE_RATE_HZ), row


def random_segment(waveform, max_frames, rng):
    """At most `max_frames` 20 ms frames of a waveform `[N]`."""
    length = max_frames * HOP_SAMPLES + MIN_SAMPLES - HOP_SAMPLES
    first = int(rng.integers(0, max(len(waveform) - length, 0) + 1))
    return waveform[first : first + length]


def freeze(module):
    """`module` as it is used, not trained: in evaluation mode, without gradients."""
    return module.eval().requires_grad_(False)
