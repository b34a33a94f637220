"""Group rows of tokens into batches, and pad them."""

import numpy as np
import torch

from ulm.vocabulary import PAD


def pad_rows(rows, device="cpu"):
    """Return B lists of vocabulary indices as an integer tensor `[B, T]`, padded on the right with `<pad>`."""
    return torch.nn.utils.rnn.pad_sequence([torch.as_tensor(row) for row in rows], True, PAD).to(device)


def length_batches(lengths, max_tokens, rng=None, max_rows=None):
    """Group rows of similar length into batches.

    Args:
        lengths: number of tokens of each row.
        max_tokens: maximum number of tokens per batch, padding included. A longer row is a batch of its own.
        rng: `numpy.random.Generator` that shuffles the batches, and rows of equal length; None: the order is fixed.
        max_rows: maximum number of rows per batch; None: no maximum.

    Returns:
        A list of arrays with the positions of the rows of each batch.
    """
    lengths = np.asarray(lengths)
    shuffled = rng.permutation(len(lengths)) if rng else np.arange(len(lengths))
    order = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    batches = []
    start = 0
    for end in range(1, len(order) + 1):
        num_rows = end - start
        if end == len(order) or lengths[order[end]] * (num_rows + 1) > max_tokens or num_rows == max_rows:
            batches.append(order[start:end])
            start = end
    return [batches[i] for i in rng.permutation(len(batches))] if rng else batches


def endless_batches(lengths, max_tokens, rng, classes=None, max_rows=None):
    """Yield the batches of `length_batches` without end, in another order in each epoch.

    Args:
        lengths, max_tokens, rng, max_rows: as for `length_batches`.
        classes: class of each row, or None. If classes are given, each epoch draws all classes equally often; it has about as
            many rows as otherwise.
    """
    lengths = np.asarray(lengths)
    while True:
        chosen = np.arange(len(lengths)) if classes is None else balanced_positions(classes, rng)
        for batch in length_batches(lengths[chosen], max_tokens, rng, max_rows):
            yield chosen[batch]


def balanced_positions(classes, rng):
    """Draw about as many positions as there are rows, equally many of each class.

    No row of a class is drawn again before all its rows have been drawn.
    """
    positions_of = {}
    for position, name in enumerate(classes):
        positions_of.setdefault(name, []).append(position)
    rows_per_class = -(-len(classes) // len(positions_of))
    return np.concatenate([np.resize(rng.permutation(positions), rows_per_class) for positions in positions_of.values()])
