"""Masked prediction: make batches of augmented frames, mask some of them, and compute the loss over their pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944; the masks of wav2vec 2.0, arXiv 2006.11477.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from speech2unit.encoders.models.log_mel import HOP_SAMPLES, MIN_SAMPLES, SHIFT_SAMPLES
from speech2unit.recipes.augment import augmented_mel, mask_bins
from speech2unit.schemas import UNITS
from storage import tables
from storage.errors import data_error

IGNORE_INDEX = -100  # target of a frame that is padding


def read_targets(paths, num_frames):
    """Read the pseudo-labels of utterances from tables of units.

    Args:
        paths: tables of `UNITS`: those of all corpora for the first codebook, then those for the second one, and so on.
        num_frames: dict from the utterance_id of each utterance to read to its number of frames T.

    Returns:
        A dict from utterance_id to pseudo-labels `[T, sets]`, with one set per codebook.

    Raises:
        ValueError: if the number of units of an utterance does not fit its number of frames.
    """
    target_sets = {}
    for path in paths:
        for batch in tables.stream(path, UNITS, ["utterance_id", "units"]):
            for utterance_id, units in zip(batch["utterance_id"].to_pylist(), batch["units"]):
                if utterance_id in num_frames:
                    target_sets.setdefault(utterance_id, []).append(units.values.to_numpy())
    return {
        utterance_id: resample_targets(np.stack(sets, 1), num_frames[utterance_id], utterance_id)
        for utterance_id, sets in target_sets.items()
    }


def resample_targets(targets, num_frames, utterance_id):
    """Return one pseudo-label per frame. Both frames and pseudo-labels may be 10 or 20 ms apart.

    Args:
        targets: pseudo-labels `[T_targets, sets]`.
        num_frames: number of frames T.
        utterance_id: the utterance, for the error message.

    Returns:
        `[T, sets]`: the targets themselves, every second one, or each one twice.

    Raises:
        ValueError: if the number of targets does not fit the number of frames.
    """
    if len(targets) == num_frames:
        return targets
    if len(targets) in (2 * num_frames - 1, 2 * num_frames):
        return targets[::2]
    if len(targets) == (num_frames + 1) // 2:
        return targets.repeat(2, 0)[:num_frames]
    raise data_error(
        f"pre-training, utterance '{utterance_id}'",
        "every frame needs a pseudo-label",
        expected=f"{num_frames} pseudo-labels, half as many, or twice as many",
        got=f"{len(targets)}",
        remedy="name targets with frames of 10 or 20 ms in config/encoders.tsv",
    )


def crop(waveform, targets, max_frames, rng, hop_length=HOP_SAMPLES):
    """Return a random segment of an utterance: its part of the waveform and of the targets.

    Args:
        waveform: `[N]`, float32.
        targets: pseudo-labels `[T, sets]` of the whole waveform.
        max_frames: largest number of frames of the segment.
        rng: `numpy.random.Generator`.
        hop_length: samples per frame.
    """
    num_frames = len(targets)
    if num_frames <= max_frames:
        return waveform, targets
    start = int(rng.integers(0, num_frames - max_frames + 1))
    end = start + max_frames
    return waveform[start * hop_length : end * hop_length + MIN_SAMPLES - SHIFT_SAMPLES], targets[start:end]


def span_mask(length, probability, span, min_spans, rng):
    """Return a random mask `[length]`, True at frames to mask.

    Args:
        length: number of frames.
        probability: fraction of the frames that the spans would cover if no two of them overlapped.
        span: length of a span in frames.
        min_spans: smallest number of spans.
        rng: `numpy.random.Generator`.

    **Source:** wav2vec 2.0, arXiv 2006.11477, section 4.2.
    """
    num_spans = max(min_spans, int(probability * length / span + rng.random()))
    num_starts = max(length - span + 1, 1)
    mask = np.zeros(length, bool)
    for start in rng.choice(num_starts, min(num_spans, num_starts), replace=False):
        mask[start : start + span] = True
    return mask


def make_example(waveform, targets, front_end, augmentation, max_frames, rng):
    """Return augmented frames `[T, 80]` of a random segment and their pseudo-labels `[T, sets]`.

    Args:
        waveform: `[N]`, float32 at 16 kHz.
        targets: pseudo-labels `[T_whole, sets]` of the whole waveform.
        front_end: a `FrontEnd`.
        augmentation: an `Augmentation`.
        max_frames: largest number of frames of the segment.
        rng: `numpy.random.Generator`.
    """
    waveform, targets = crop(waveform, targets, max_frames, rng, front_end.hop_length)
    mel, tempo = augmented_mel(waveform, augmentation, rng)
    frames = front_end.stack(mask_bins(front_end.normalize(mel), augmentation, rng))
    # The middle of each augmented frame, as a position (in frames) in the speech as recorded.
    centers = (np.arange(len(frames)) + 0.5) * tempo - 0.5
    positions = np.round(centers).astype(int).clip(0, len(targets) - 1)
    return frames, torch.from_numpy(targets[positions].astype(np.int64))


def collate(examples, mask_settings, rng):
    """Mask and pad examples to a batch.

    Args:
        examples: list of pairs of frames `[T_i, D]` and pseudo-labels `[T_i, sets]`.
        mask_settings: arguments of `span_mask`: `probability`, `span` and `min_spans`.
        rng: `numpy.random.Generator`.

    Returns:
        frames `[B, T, D]`, 0 in masked frames and in padding;
        lengths `[B]`, number of frames without padding;
        targets `[B, T, sets]`, `IGNORE_INDEX` in padding;
        mask `[B, T]`, True for masked frames.
    """
    frames, targets = zip(*examples)
    lengths = torch.tensor([len(f) for f in frames])
    masks = [torch.from_numpy(span_mask(len(f), rng=rng, **mask_settings)) for f in frames]
    mask = pad_sequence(masks, batch_first=True)
    masked_frames = pad_sequence(frames, batch_first=True) * ~mask[..., None]
    return masked_frames, lengths, pad_sequence(targets, batch_first=True, padding_value=IGNORE_INDEX), mask


def masked_loss(model, batch, unmasked_weight):
    """Return the summed cross entropy in nats, and the number of masked targets.

    Args:
        model: a `MelHuBERTModel`.
        batch: the result of `collate`.
        unmasked_weight: weight of the loss over frames that are not masked. Their summed loss is first scaled to the number of
            masked frames, so that the weight has the same meaning for any number of masked frames.
    """
    device = next(model.parameters()).device
    frames, lengths, targets, mask = (part.to(device) for part in batch)
    valid_mask = targets[..., 0] != IGNORE_INDEX
    last_states = model.hidden_states(frames, lengths)[-1]
    num_masked = int((mask & valid_mask).sum())
    total = 0
    for is_selected, weight in ((mask & valid_mask, 1), (~mask & valid_mask, unmasked_weight)):
        if weight and is_selected.any():
            states = last_states[is_selected]  # logits are computed for these frames only
            losses = [
                F.cross_entropy(head(states).float(), labels)
                for head, labels in zip(model.final_proj, targets[is_selected].unbind(-1))
            ]
            total = total + weight * num_masked * sum(losses)
    return total, num_masked * targets.shape[-1]
