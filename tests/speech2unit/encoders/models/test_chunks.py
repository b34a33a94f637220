"""Chunks of long utterances: every frame once, in order, with context on both sides."""

import pytest
import torch

from speech2unit.encoders.models import chunks


@pytest.mark.parametrize("num_frames", [1, 10, 11, 12, 25, 30])
def test_long_utterances_are_computed_in_overlapping_chunks(monkeypatch, num_frames):
    monkeypatch.setattr(chunks, "MAX_FRAMES", 10)
    monkeypatch.setattr(chunks, "OVERLAP_FRAMES", 2)
    frames = torch.arange(num_frames)[:, None]
    seen = []

    def compute(chunk):
        seen.append(chunk[:, 0].tolist())
        return chunk

    assert torch.equal(chunks.in_chunks(frames, compute), frames)
    starts = [max(0, start - 2) for start in range(0, num_frames, 6)] if num_frames > 10 else [0]
    assert [chunk[0] for chunk in seen] == starts
    assert max(map(len, seen)) <= 10
