"""Masked prediction: batches of augmented frames, some of them hidden, and the loss of their pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944; the masks of wav2vec 2.0, arXiv 2006.11477.
"""

import numpy as np
import torch
import torch.nn.functional as F

from speech2unit.encoders.models.log_mel import HOP_SAMPLES, MIN_SAMPLES, SHIFT_SAMPLES
from speech2unit.recipes.augment import augmented_mel, mask_bins
from speech2unit.schemas import UNITS
from storage import tables
from storage.errors import data_error

IGNORE_INDEX = -100


def read_targets(paths, num_frames):
    """utterance_id → pseudo-labels `[T, sets]`, of the utterances in `num_frames` (utterance_id → T), see `in_time`.

    `paths`: the units of every corpus, codebook after codebook.
    """
    found = {}
    for path in paths:
        for batch in tables.stream(path, UNITS, ["utterance_id", "units"]):
            for name, units in zip(batch["utterance_id"].to_pylist(), batch["units"]):
                if name in num_frames:
                    found.setdefault(name, []).append(units.values.to_numpy())
    return {name: resample_targets(np.stack(sets, 1), num_frames[name], name) for name, sets in found.items()}


def resample_targets(targets, num_frames, name):
    """Pseudo-labels `[T, sets]` of `num_frames` frames: as they are, every second one, or each twice, as frames of 10 and 20 ms
    need it. Raises `ValueError` where they are no labels of these frames.
    """
    times = {num_frames: 1, 2 * num_frames: 2, 2 * num_frames - 1: 2, (num_frames + 1) // 2: 0.5}.get(len(targets), 0)
    if times in (1, 2):
        return targets[::times]
    if times:
        return targets.repeat(2, 0)[:num_frames]
    raise data_error(
        f"pre-training, utterance '{name}'",
        "every frame has its pseudo-label",
        expected=f"{num_frames} of them, half or twice as many",
        got=f"{len(targets)}",
        remedy="name targets of frames of 10 or 20 ms in config/encoders.tsv",
    )


def crop(waveform, targets, max_frames, rng, hop_length=HOP_SAMPLES):
    """A random stretch of at most `max_frames` frames: waveform and the targets of its frames."""
    num_frames = len(targets)
    if num_frames <= max_frames:
        return waveform, targets
    start = int(rng.integers(0, num_frames - max_frames + 1))
    end = start + max_frames
    return waveform[start * hop_length : end * hop_length + MIN_SAMPLES - SHIFT_SAMPLES], targets[start:end]


def span_mask(length, probability, span, min_spans, rng):
    """Boolean `[length]`: spans of `span` frames, so many that about `probability` of the frames start out covered.

    Spans may overlap. Source: wav2vec 2.0, arXiv 2006.11477, section 4.2.
    """
    num_spans = max(min_spans, int(probability * length / span + rng.random()))
    starts = rng.choice(max(length - span + 1, 1), min(num_spans, max(length - span + 1, 1)), replace=False)
    mask = np.zeros(length, bool)
    for start in starts:
        mask[start : start + span] = True
    return mask


def example(waveform, targets, front_end, augmentation, max_frames, rng):
    """Augmented frames `[T, 80]` of a random stretch and the pseudo-labels `[T, sets]` that each of them has."""
    waveform, targets = crop(waveform, targets, max_frames, rng, front_end.hop_length)
    mel, tempo = augmented_mel(waveform, augmentation, rng)
    frames = front_end.stack(mask_bins(front_end.normalize(mel), augmentation, rng))
    recorded = np.round((np.arange(len(frames)) + 0.5) * tempo - 0.5).astype(int).clip(0, len(targets) - 1)
    return frames, torch.from_numpy(targets[recorded].astype(np.int64))


def collate(examples, mask_settings, rng):
    """Padded frames `[B, T, 80]` with masked ones set to 0, lengths `[B]`, targets `[B, T, sets]`, mask `[B, T]`."""
    frames, targets = zip(*examples)
    lengths = torch.tensor([len(f) for f in frames])
    masks = [torch.from_numpy(span_mask(len(f), rng=rng, **mask_settings)) for f in frames]
    pad = torch.nn.utils.rnn.pad_sequence
    mask = pad(masks, batch_first=True)
    return (
        pad(frames, batch_first=True) * ~mask[..., None],
        lengths,
        pad(targets, batch_first=True, padding_value=IGNORE_INDEX),
        mask,
    )


def masked_loss(model, batch, unmasked_weight):
    """Summed cross entropy (nats) of masked frames, plus `unmasked_weight` of the other real ones; number of masked targets.

    The sum over the other frames is scaled to the number of masked ones, so that the weight does not depend on it.
    """
    device = next(model.parameters()).device
    frames, lengths, targets, mask = (part.to(device) for part in batch)
    real, total = targets[..., 0] != IGNORE_INDEX, 0
    last, num_masked = model.hidden_states(frames, lengths)[-1], int((mask & real).sum())
    for chosen, weight in ((mask & real, 1), (~mask & real, unmasked_weight)):
        if weight and chosen.any():
            states = last[chosen]  # the others need no logits
            losses = (F.cross_entropy(p(states).float(), t) for p, t in zip(model.final_proj, targets[chosen].unbind(-1)))
            total = total + weight * num_masked * sum(losses)
    return total, num_masked * targets.shape[-1]


def batches_by_length(rows, max_frames_per_batch, max_frames, rng, hop_length=HOP_SAMPLES):
    """Endless batches of positions in `rows`; an utterance of n crops comes about n / 2 times an epoch."""
    frames = np.array([row["num_samples"] // hop_length for _, row in rows])
    copies = np.repeat(np.arange(len(rows)), np.maximum(1, np.round(frames / (2 * max_frames)).astype(int)))
    while True:
        order = rng.permutation(copies)
        for chunk in np.array_split(order, max(1, len(order) // 1500)):
            chunk = chunk[np.argsort(frames[chunk], kind="stable")]
            sizes = np.minimum(frames[chunk], max_frames).cumsum() // max_frames_per_batch
            batches = np.split(chunk, np.flatnonzero(np.diff(sizes)) + 1)
            yield from (batches[i] for i in rng.permutation(len(batches)))
