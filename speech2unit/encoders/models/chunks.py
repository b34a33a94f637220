"""Compute long utterances in overlapping chunks, because attention takes time and memory quadratic in the number of frames."""

MAX_FRAMES = 5000  # 100 s at 50 Hz, as in GSLM; longer utterances are computed in chunks
OVERLAP_FRAMES = 250  # 5 s of context on each side of the frames that are kept


def split(frames, max_frames=None):
    """Return a list of overlapping chunks, or all frames as a single chunk if they are no more than `max_frames`.

    Args:
        frames: `[T, D]`.
        max_frames: largest number of frames in a chunk, more than two overlaps; None: `MAX_FRAMES`.
    """
    max_frames = max_frames or MAX_FRAMES
    if len(frames) <= max_frames:
        return [frames]
    step = max_frames - 2 * OVERLAP_FRAMES
    starts = range(0, len(frames), step)
    return [frames[max(start - OVERLAP_FRAMES, 0) : start + step + OVERLAP_FRAMES] for start in starts]


def join(chunks, max_frames=None):
    """Return what belongs to each frame once, `[T, …]`, from the results `[T_i, …]` for the chunks of `split`."""
    import torch

    if len(chunks) == 1:
        return chunks[0]
    step = (max_frames or MAX_FRAMES) - 2 * OVERLAP_FRAMES
    num_before = [min(number * step, OVERLAP_FRAMES) for number in range(len(chunks))]  # frames of context
    return torch.cat([chunk[start:][:step] for chunk, start in zip(chunks, num_before)])


def in_chunks(frames, compute, max_frames=None):
    """Compute a hidden state, in chunks if there are more than `max_frames` frames.

    Args:
        frames: `[T, D_in]`.
        compute: function that maps frames `[T', D_in]` to a hidden state `[T', D_out]`.
        max_frames: as in `split`.

    Returns:
        `[T, D_out]`.
    """
    return join([compute(chunk) for chunk in split(frames, max_frames)], max_frames)
