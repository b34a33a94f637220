"""Masked prediction: masks, pseudo-labels that fit the frames, batches, the loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from speech2unit.encoders.models.log_mel import FrontEnd
from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.augment import Augmentation
from speech2unit.recipes.masked_frames import (
    IGNORE_INDEX,
    collate,
    crop,
    make_example,
    masked_loss,
    read_targets,
    resample_targets,
    span_mask,
)
from speech2unit.schemas import UNITS
from storage import tables

NO_AUGMENTATION = Augmentation(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0)
FRONT_END = FrontEnd(torch.zeros(40), torch.ones(40), False)
MASK = dict(probability=0.4, span=2, min_spans=1)


def make_waveform(num_samples):
    return (0.1 * np.random.default_rng(0).standard_normal(num_samples)).astype(np.float32)


def make_model(num_targets):
    torch.manual_seed(0)
    return MelHuBERTModel(MelHuBERTConfig(1, 16, 32, 2, 6, 4, num_targets)).eval()


# masks


@pytest.mark.slow
@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0, 1), st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
def test_a_mask_consists_of_whole_spans(length, probability, span, min_spans, seed):
    mask = span_mask(length, probability, span, min_spans, np.random.default_rng(seed))
    assert mask.shape == (length,)
    assert mask.dtype == bool
    assert mask.any()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    run_lengths = edges[1::2] - edges[::2]
    assert (run_lengths >= min(span, length)).all()
    max_spans = max(min_spans, int(probability * length / span + 1))
    assert mask.sum() <= max_spans * span


def test_the_masked_fraction_is_the_probability_less_overlaps():
    rng = np.random.default_rng(0)
    masked_fraction = np.mean([span_mask(1000, 0.4, 5, 1, rng).mean() for _ in range(50)])
    assert 1 - np.exp(-0.4) - 0.03 < masked_fraction < 0.4


# pseudo-labels


def test_targets_of_two_codebooks_and_two_corpora(tmp_path):
    units_by_file = {
        "codebook1_corpus1": [("x", [1, 2]), ("z", [9])],
        "codebook1_corpus2": [("y", [3])],
        "codebook2_corpus1": [("z", [8]), ("x", [5, 6])],
        "codebook2_corpus2": [("y", [7])],
    }
    for name, utterances in units_by_file.items():
        rows = [dict(utterance_id=u, split="train", codebook="c", units=units) for u, units in utterances]
        tables.write(tmp_path / f"{name}.parquet", rows, UNITS)
    targets = read_targets([tmp_path / f"{name}.parquet" for name in units_by_file], dict(x=2, y=1))
    assert {name: labels.tolist() for name, labels in targets.items()} == dict(x=[[1, 5], [2, 6]], y=[[3, 7]])


@pytest.mark.parametrize("num_frames", [1, 2, 7, 8])
def test_targets_are_resampled_between_10_and_20_ms(num_frames):
    num_samples = 400 + 160 * (num_frames - 1)
    num_10_ms, num_20_ms = (replace(FRONT_END, frame_ms=ms).num_frames(num_samples) for ms in (10, 20))
    targets_10_ms = np.arange(num_10_ms)[:, None]
    targets_20_ms = np.arange(num_20_ms)[:, None]
    assert np.array_equal(resample_targets(targets_10_ms, num_10_ms, "u"), targets_10_ms)
    assert resample_targets(targets_10_ms, num_20_ms, "u").ravel().tolist() == list(range(0, num_10_ms, 2))
    assert resample_targets(targets_20_ms, num_10_ms, "u").ravel().tolist() == [i // 2 for i in range(num_10_ms)]


def test_targets_of_another_length_are_refused():
    message = "utterance 'u': every frame needs a pseudo-label; expected 10 pseudo-labels, .* got 13; name targets"
    with pytest.raises(ValueError, match=message):
        resample_targets(np.zeros((13, 1)), 10, "u")


# examples


@pytest.mark.parametrize("frame_ms", [10, 20])
@pytest.mark.parametrize("num_samples", [400, 4_000, 20_000, 20_160, 33_333])
def test_without_augmentation_a_frame_has_its_own_target(num_samples, frame_ms):
    front_end = replace(FRONT_END, frame_ms=frame_ms)
    waveform = make_waveform(num_samples)
    all_frames = front_end(waveform)
    all_targets = np.arange(len(all_frames))[:, None]
    for seed in range(5):
        frames, targets = make_example(waveform, all_targets, front_end, NO_AUGMENTATION, 30, np.random.default_rng(seed))
        assert len(frames) == len(targets) == min(len(all_frames), 30)
        whole = slice(0, len(frames) - (frame_ms == 20))  # the last 20 ms frame may lack its second half
        torch.testing.assert_close(frames[whole], all_frames[targets[whole, 0]], atol=1e-4, rtol=0)


def test_a_crop_has_the_frames_of_its_targets():
    waveform = make_waveform(16_000)
    targets = np.arange(49)[:, None]
    segment, segment_targets = crop(waveform, targets, 20, np.random.default_rng(3))
    frames = FRONT_END(segment)
    assert len(segment_targets) == 20
    assert len(frames) >= 20
    expected = FRONT_END(waveform)[segment_targets[0, 0] : segment_targets[-1, 0] + 1]
    torch.testing.assert_close(frames[:20], expected, atol=1e-4, rtol=0)


def test_a_short_utterance_is_not_cropped():
    waveform = make_waveform(16_000)
    targets = np.arange(49)[:, None]
    segment, segment_targets = crop(waveform, targets, 49, np.random.default_rng(3))
    assert segment is waveform
    assert segment_targets is targets


def test_targets_follow_speech_at_another_tempo():
    augmentation = replace(NO_AUGMENTATION, tempo=0.2)
    all_targets = np.arange(100)[:, None]
    for seed in range(10):
        frames, targets = make_example(
            make_waveform(32_160), all_targets, FRONT_END, augmentation, 200, np.random.default_rng(seed)
        )
        assert len(frames) == len(targets)
        assert (targets.diff(dim=0) >= 0).all()
        assert targets[0, 0] == 0
        assert targets[-1, 0] >= 97


# batches and loss


def test_in_a_batch_masked_frames_are_0_and_padding_is_marked():
    examples = [(torch.ones(n, 80), torch.full((n, 2), 3)) for n in (9, 4)]
    frames, lengths, targets, mask = collate(examples, MASK, np.random.default_rng(0))
    assert frames.shape == (2, 9, 80)
    assert lengths.tolist() == [9, 4]
    assert (targets[1, 4:] == IGNORE_INDEX).all()
    assert (targets[0] == 3).all()
    assert not mask[1, 4:].any()
    assert torch.equal(frames[..., 0] == 1, ~mask & (torch.arange(9)[None] < lengths[:, None]))


@pytest.mark.parametrize("unmasked_weight", [0, 0.5])
def test_the_loss_is_over_masked_frames_and_with_a_weight_over_the_others(unmasked_weight):
    model = make_model((5, 7))
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 2))) for n in (9, 4)]
    batch = collate(examples, MASK, np.random.default_rng(0))
    loss, num_targets = masked_loss(model, batch, unmasked_weight)
    frames, lengths, targets, mask = batch
    valid_mask = targets[..., 0] != IGNORE_INDEX
    num_masked = (mask & valid_mask).sum()
    expected = 0
    for logits, labels in zip(model(frames, lengths), targets.unbind(-1)):
        losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE_INDEX, reduction="none")
        expected += losses[mask & valid_mask].sum()
        expected += unmasked_weight * losses[~mask & valid_mask].mean() * num_masked
    assert num_targets == 2 * int(num_masked)
    torch.testing.assert_close(loss, expected)


def test_the_loss_of_a_batch_is_the_sum_over_its_rows():
    """Padding does not count, and the last row may have a single frame."""
    model = make_model((5, 7))
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 2))) for n in (30, 12, 1)]
    mask_settings = dict(probability=0.5, span=3, min_spans=1)
    frames, lengths, targets, mask = collate(examples, mask_settings, np.random.default_rng(0))
    assert int(mask.sum()) < 30
    assert mask.any(1).all()
    loss, num_targets = masked_loss(model, (frames, lengths, targets, mask), 0)
    losses_of_rows = [
        masked_loss(model, (frames[i : i + 1, :n], lengths[i : i + 1], targets[i : i + 1, :n], mask[i : i + 1, :n]), 0)
        for i, n in enumerate(lengths.tolist())
    ]
    torch.testing.assert_close(loss, sum(row_loss for row_loss, _ in losses_of_rows), rtol=1e-4, atol=1e-4)
    assert num_targets == sum(number for _, number in losses_of_rows) == 2 * int(mask.sum())


def test_neither_masking_nor_the_loss_changes_its_input():
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 1))) for n in (9, 4)]
    copies = [(frames.clone(), targets.clone()) for frames, targets in examples]
    mask_settings = dict(probability=1.0, span=2, min_spans=2)
    frames, lengths, targets, mask = collate(examples, mask_settings, np.random.default_rng(0))
    frames_before = frames.clone()
    loss, _ = masked_loss(make_model((5,)), (frames, lengths, targets, mask), 0.5)
    loss.backward()
    assert torch.equal(frames, frames_before)
    for example, copy in zip(examples, copies):
        assert torch.equal(example[0], copy[0])
        assert torch.equal(example[1], copy[1])
