"""What a task's model reads and what it has to say, row by row: waveforms or kept hidden states, and targets."""

from pathlib import Path

import numpy as np
import torch

from speech2unit.corpora.audio import read_utterance
from storage import tables
from superb.create_superb_dataset import SEQUENCES
from superb.schemas import CLASSES, HIDDEN_STATES

POOL_BATCHES = 8  # of which each is of utterances of similar length


def load_hidden_states(paths):
    """utterance_id → float16 array `[L + 1, T, D]` of every shard of hidden states."""
    found = {}
    for path in paths:
        for batch in tables.stream(path, HIDDEN_STATES, batch_rows=64):
            columns = zip(*(batch[name].to_pylist() for name in ("utterance_id", "num_states", "num_frames")))
            for (name, num_states, num_frames), states in zip(columns, batch["states"]):
                found[name] = states.values.to_numpy().reshape(num_states, num_frames, -1)
    return found


def reader(hidden_states, root, sample_rate):
    """A function rows → inputs: float32 tensors, of hidden states where there are shards, else waveforms at `sample_rate`."""
    states = load_hidden_states(hidden_states)

    def read(row):
        if states:
            return torch.from_numpy(states[row["utterance_id"]].astype(np.float32))
        return torch.from_numpy(read_utterance(Path(root) / row["path"], row, sample_rate=sample_rate))

    return lambda rows: [read(row) for row in rows]


def read_classes(path):
    """The labels of each slot in the order of their indices: `[["off", "on"], ["heat", "music"]]`."""
    slots = {}
    for row in sorted(tables.read(path, CLASSES).to_pylist(), key=lambda row: (row["slot"], row["index"])):
        slots.setdefault(row["slot"], []).append(row["label"])
    return list(slots.values())


def num_outputs(classes):
    """Outputs of a head, as `build_model` takes them: classes of each slot, symbols, or speakers."""
    return [len(known) for known in classes]


def target_of(labels, classes, kind):
    """Labels → what a model is trained on: class indices of the slots, symbols from 1 on, or (SD) the segments as they are."""
    if kind == "SD":
        return labels
    if kind in SEQUENCES:
        return [classes[0].index(label) + 1 for label in labels]
    return [known.index(label) for known, label in zip(classes, labels)]


def labels_of(target, classes, kind):
    """The inverse of `target_of`."""
    if kind == "SD":
        return target
    if kind in SEQUENCES:
        return [classes[0][symbol - 1] for symbol in target]
    return [known[index] for known, index in zip(classes, target)]


def shuffled_batches(lengths, batch_size, rng):
    """Positions of rows in batches of similar length, epoch after epoch, each in another order."""
    lengths = np.asarray(lengths)
    while True:
        order, pool = rng.permutation(len(lengths)), batch_size * POOL_BATCHES
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            batches = sorted_batches(lengths[part], batch_size)
            yield from (part[batches[i]] for i in rng.permutation(len(batches)))


def sorted_batches(lengths, batch_size):
    """Positions of rows, shortest first, `batch_size` at a time."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
