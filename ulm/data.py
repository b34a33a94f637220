"""Token rows as padded batches."""

import numpy as np
import torch

from ulm.build_vocabulary import PAD


def pad_rows(rows, device="cpu"):
    """Lists of token indices → tensor `[B, T]`, padded on the right with `<pad>`."""
    return torch.nn.utils.rnn.pad_sequence([torch.as_tensor(row) for row in rows], True, PAD).to(device)


def length_batches(lengths, max_tokens, rng=None):
    """Positions of rows in batches of similar length, each of at most `max_tokens` padded tokens (at least one row).

    With `rng`, ties and the order of the batches are random; without, both are fixed.
    """
    lengths = np.asarray(lengths)
    shuffled = rng.permutation(len(lengths)) if rng else np.arange(len(lengths))
    order = shuffled[np.argsort(lengths[shuffled], kind="stable")]
    batches, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or lengths[order[end]] * (end + 1 - start) > max_tokens:
            batches.append(order[start:end])
            start = end
    return [batches[i] for i in rng.permutation(len(batches))] if rng else batches


def endless_batches(lengths, max_tokens, rng, classes=None):
    """`length_batches` of positions epoch after epoch, each in another order.

    With `classes` (one of each row) an epoch draws every class equally often, as many rows as there are in all.
    """
    lengths = np.asarray(lengths)
    while True:
        chosen = np.arange(len(lengths)) if classes is None else balanced_positions(classes, rng)
        for batch in length_batches(lengths[chosen], max_tokens, rng):
            yield chosen[batch]


def balanced_positions(classes, rng):
    """About as many positions as there are rows, the same number of every class: all rows of a class before any again."""
    members = {}
    for position, name in enumerate(classes):
        members.setdefault(name, []).append(position)
    share = -(-len(classes) // len(members))
    return np.concatenate([np.resize(rng.permutation(found), share) for found in members.values()])
