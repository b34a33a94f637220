"""Masked prediction: masks, targets in time with the frames, batches, the loss."""

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

NONE = Augmentation(tempo=0.0, warp=0.0, equalizer_nats=0.0, noise_probability=0.0, max_masked_bins=0)
FRONT_END = FrontEnd(torch.zeros(40), torch.ones(40), False)


def waveform(num_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


# masks


@settings(deadline=None)
@given(st.integers(1, 200), st.floats(0, 1), st.integers(1, 12), st.integers(1, 3), st.integers(0, 99))
def test_a_mask_is_made_of_whole_spans(length, probability, span, min_spans, seed):
    mask = span_mask(length, probability, span, min_spans, np.random.default_rng(seed))
    assert mask.shape == (length,) and mask.dtype == bool and mask.any()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    runs = edges[1::2] - edges[::2]
    assert (runs >= min(span, length)).all()
    num_starts = max(min_spans, int(probability * length / span + 1))
    assert mask.sum() <= num_starts * span


def test_about_so_many_frames_start_out_covered():
    rng = np.random.default_rng(0)
    covered = np.mean([span_mask(1000, 0.4, 5, 1, rng).mean() for _ in range(50)])
    assert 1 - np.exp(-0.4) - 0.03 < covered < 0.4  # overlaps take their part


# examples


def test_targets_of_all_sets_by_name(tmp_path):
    rows = {
        "a1": [("x", [1, 2]), ("z", [9])], "b1": [("y", [3])],
        "a2": [("z", [8]), ("x", [5, 6])], "b2": [("y", [7])],
    }  # fmt: skip
    for file, found in rows.items():
        table = [dict(utterance_id=n, split="train", codebook="c", units=u) for n, u in found]
        tables.write(tmp_path / f"{file}.parquet", table, UNITS)
    found = read_targets([tmp_path / f"{name}.parquet" for name in rows], dict(x=2, y=1))
    assert {name: sets.tolist() for name, sets in found.items()} == dict(x=[[1, 5], [2, 6]], y=[[3, 7]])


@pytest.mark.parametrize("frame_ms", [10, 20])
@pytest.mark.parametrize("num_samples", [400, 4_000, 20_000, 20_160, 33_333])
def test_without_augmentation_a_frame_has_its_own_target(num_samples, frame_ms):
    speech, front_end = waveform(num_samples), replace(FRONT_END, frame_ms=frame_ms)
    whole = front_end(speech)
    targets = np.arange(len(whole))[:, None]
    for seed in range(5):
        frames, found = make_example(speech, targets, front_end, NONE, 30, np.random.default_rng(seed))
        assert len(frames) == len(found) == min(len(whole), 30)
        inside = slice(0, len(frames) - (frame_ms == 20))  # the last one may lack its second half
        torch.testing.assert_close(frames[inside], whole[found[inside, 0]], atol=1e-4, rtol=0)


def test_a_crop_holds_the_frames_of_its_targets():
    speech, targets = waveform(16_000), np.arange(49)[:, None]
    part, found = crop(speech, targets, 20, np.random.default_rng(3))
    frames = FRONT_END(part)
    assert len(found) == 20 and len(frames) >= 20
    torch.testing.assert_close(frames[:20], FRONT_END(speech)[found[0, 0] : found[-1, 0] + 1], atol=1e-4, rtol=0)
    whole, same = crop(speech, targets, 49, np.random.default_rng(3))
    assert whole is speech and same is targets


def test_faster_speech_keeps_targets_in_time():
    how, targets = Augmentation(0.2, 0.0, 0.0, 0.0, 0), np.arange(100)[:, None]
    for seed in range(10):
        frames, found = make_example(waveform(32_160), targets, FRONT_END, how, 200, np.random.default_rng(seed))
        assert len(frames) == len(found) and (found.diff(dim=0) >= 0).all()
        assert found[0, 0] == 0 and found[-1, 0] >= 97


def test_a_batch_hides_masked_frames_and_marks_padding():
    frames = [torch.ones(n, 80) for n in (9, 4)]
    targets = [torch.full((n, 2), 3) for n in (9, 4)]
    how = dict(probability=0.4, span=2, min_spans=1)
    padded, lengths, wanted, mask = collate(list(zip(frames, targets)), how, np.random.default_rng(0))
    assert padded.shape == (2, 9, 80) and lengths.tolist() == [9, 4]
    assert (wanted[1, 4:] == IGNORE_INDEX).all() and (wanted[0] == 3).all() and not mask[1, 4:].any()
    assert torch.equal(padded[..., 0] == 1, ~mask & (torch.arange(9)[None] < lengths[:, None]))


@pytest.mark.parametrize("weight", [0, 0.5])
def test_the_loss_is_that_of_masked_frames_and_a_part_of_the_others(weight):
    torch.manual_seed(0)
    model = MelHuBERTModel(MelHuBERTConfig(1, 16, 32, 2, 6, 4, (5, 7))).eval()
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 2))) for n in (9, 4)]
    batch = collate(examples, dict(probability=0.4, span=2, min_spans=1), np.random.default_rng(0))
    loss, num_targets = masked_loss(model, batch, weight)
    frames, lengths, wanted, mask = batch
    real, expected = wanted[..., 0] != IGNORE_INDEX, 0
    for logits, one in zip(model(frames, lengths), wanted.unbind(-1)):
        each = F.cross_entropy(logits.transpose(1, 2), one, ignore_index=IGNORE_INDEX, reduction="none")
        expected += each[mask & real].sum() + weight * each[~mask & real].mean() * (mask & real).sum()
    assert num_targets == 2 * int((mask & real).sum())
    torch.testing.assert_close(loss, expected)


def test_the_loss_of_a_batch_is_that_of_its_rows_each_alone():
    """Neither what pads a row nor how many rows there are counts: losses are over real frames, a last row of one frame is fine."""
    torch.manual_seed(0)
    model = MelHuBERTModel(MelHuBERTConfig(1, 16, 32, 2, 6, 4, (5, 7))).eval()
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 2))) for n in (30, 12, 1)]
    frames, lengths, wanted, mask = collate(examples, dict(probability=0.5, span=3, min_spans=1), np.random.default_rng(0))
    assert int(mask.sum()) < 30 and mask.any(1).all()
    together = masked_loss(model, (frames, lengths, wanted, mask), 0)
    alone = [
        masked_loss(model, (frames[i : i + 1, :n], lengths[i : i + 1], wanted[i : i + 1, :n], mask[i : i + 1, :n]), 0)
        for i, n in enumerate(lengths.tolist())
    ]
    torch.testing.assert_close(together[0], sum(loss for loss, _ in alone), rtol=1e-4, atol=1e-4)
    assert together[1] == sum(num_targets for _, num_targets in alone) == 2 * int(mask.sum())


def test_masking_leaves_its_input_as_it_is():
    examples = [(torch.randn(n, 80), torch.randint(5, (n, 1))) for n in (9, 4)]
    before = [(frames.clone(), targets.clone()) for frames, targets in examples]
    padded, lengths, wanted, mask = collate(examples, dict(probability=1.0, span=2, min_spans=2), np.random.default_rng(0))
    model, kept = MelHuBERTModel(MelHuBERTConfig(1, 16, 32, 2, 6, 4, (5,))), padded.clone()
    masked_loss(model, (padded, lengths, wanted, mask), 0.5)[0].backward()
    assert torch.equal(padded, kept)
    assert all(torch.equal(one, two) for pair in zip(examples, before) for one, two in zip(*pair))


@pytest.mark.parametrize("num_frames", [1, 2, 7, 8])
def test_targets_of_other_frames_come_in_time(num_frames):
    front_ends = [replace(FRONT_END, frame_ms=ms) for ms in (10, 20)]
    num_samples = 400 + 160 * (num_frames - 1)
    ten, twenty = (end.num_frames(num_samples) for end in front_ends)
    fast, slow = np.arange(ten)[:, None], np.arange(twenty)[:, None]
    assert np.array_equal(resample_targets(fast, ten, "u"), fast)
    assert resample_targets(fast, twenty, "u").ravel().tolist() == list(range(0, ten, 2))
    assert resample_targets(slow, ten, "u").ravel().tolist() == [i // 2 for i in range(ten)]


def test_targets_of_something_else_are_refused():
    with pytest.raises(
        ValueError, match="utterance 'u': every frame needs a pseudo-label; expected 10 pseudo-labels, .* got 13; name targets"
    ):
        resample_targets(np.zeros((13, 1)), 10, "u")
