"""Long utterances pass a transformer in pieces that overlap: its memory and time grow with the square of the frames."""

MAX_FRAMES = 5000  # 100 s at 50 Hz, as GSLM: longer ones pass in pieces
OVERLAP_FRAMES = 250  # 5 s that a piece sees on either side of what it yields


def in_chunks(frames, state):
    """`state` of frames `[T, D]`; of more than `MAX_FRAMES` in pieces, from which what overlaps is cut off."""
    import torch

    if len(frames) <= MAX_FRAMES:
        return state(frames)
    step, parts = MAX_FRAMES - 2 * OVERLAP_FRAMES, []
    for start in range(0, len(frames), step):
        first = max(start - OVERLAP_FRAMES, 0)
        parts.append(state(frames[first : start + step + OVERLAP_FRAMES])[start - first :][:step])
    return torch.cat(parts)
