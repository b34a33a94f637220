"""Pieces of long utterances: every frame once, in order, each with its neighbours."""

import pytest
import torch

from speech2unit.encoders.models import chunks


@pytest.mark.parametrize("num_frames", [1, 10, 11, 12, 25, 30])
def test_long_utterances_pass_the_blocks_in_pieces_that_overlap(monkeypatch, num_frames):
    monkeypatch.setattr(chunks, "MAX_FRAMES", 10)
    monkeypatch.setattr(chunks, "OVERLAP_FRAMES", 2)
    frames, seen = torch.arange(num_frames)[:, None], []
    assert torch.equal(chunks.in_chunks(frames, lambda chunk: seen.append(chunk[:, 0].tolist()) or chunk), frames)
    starts = [max(0, start - 2) for start in range(0, num_frames, 6)] if num_frames > 10 else [0]
    assert max(map(len, seen)) <= 10 and [chunk[0] for chunk in seen] == starts
