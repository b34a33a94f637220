"""Compute long utterances in overlapping chunks, because attention takes time and memory quadratic in the number of frames."""

MAX_FRAMES = 5000  # 100 s at 50 Hz, as in GSLM; longer utterances are computed in chunks
OVERLAP_FRAMES = 250  # 5 s of context on each side of the frames that are kept


def in_chunks(frames, compute):
    """Compute a hidden state, in chunks if there are more than `MAX_FRAMES` frames.

    Args:
        frames: `[T, D_in]`.
        compute: function that maps frames `[T', D_in]` to a hidden state `[T', D_out]`.

    Returns:
        `[T, D_out]`.
    """
    import torch

    if len(frames) <= MAX_FRAMES:
        return compute(frames)
    step = MAX_FRAMES - 2 * OVERLAP_FRAMES
    parts = []
    for start in range(0, len(frames), step):
        first = max(start - OVERLAP_FRAMES, 0)
        chunk = compute(frames[first : start + step + OVERLAP_FRAMES])
        parts.append(chunk[start - first :][:step])
    return torch.cat(parts)
