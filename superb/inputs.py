"""Read the inputs and targets of a task's model for rows of its dataset, and group rows into batches."""

from pathlib import Path

import numpy as np
import torch

from speech2unit.corpora.audio import read_utterance
from storage import tables
from superb.schemas import CLASSES, HIDDEN_STATES

POOL_BATCHES = 8  # number of batches whose rows are sorted by length together


def load_hidden_states(paths):
    """Return a dict from each utterance_id to its hidden states, a float16 array `[L + 1, T, D]`.

    Args:
        paths: tables of `HIDDEN_STATES`, the shards of a corpus.
    """
    arrays = {}
    for path in paths:
        for batch in tables.stream(path, HIDDEN_STATES):
            cells = batch.select(["utterance_id", "num_states", "num_frames"]).to_pylist()
            for row, states in zip(cells, batch["states"]):
                arrays[row["utterance_id"]] = states.values.to_numpy().reshape(row["num_states"], row["num_frames"], -1)
    return arrays


def input_reader(hidden_states, root, sample_rate):
    """Return a function that maps a list of rows of `DATASET` to a list of inputs of a `TaskModel`, float32 tensors.

    Args:
        hidden_states: tables of `HIDDEN_STATES`, from which the inputs are read; empty: the inputs are waveforms.
        root: root folder of the corpus, for waveforms.
        sample_rate: sample rate of the waveforms in Hz.
    """
    states = load_hidden_states(hidden_states)

    def read(row):
        if states:
            return torch.from_numpy(states[row["utterance_id"]].astype(np.float32))
        return torch.from_numpy(read_utterance(Path(root) / row["path"], row, sample_rate=sample_rate))

    return lambda rows: [read(row) for row in rows]


def read_classes(path):
    """Return the labels of each slot, in the order of their numbers, such as `[["off", "on"], ["heat", "music"]]`."""
    slots = {}
    for row in sorted(tables.read(path, CLASSES).to_pylist(), key=lambda row: (row["slot"], row["index"])):
        slots.setdefault(row["slot"], []).append(row["label"])
    return list(slots.values())


def sorted_batches(lengths, batch_size):
    """Return a list of arrays, each with the positions of `batch_size` rows, from the shortest row to the longest."""
    order = np.argsort(lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shuffled_batches(lengths, batch_size, rng):
    """Yield batches without end, as arrays of positions of rows with similar lengths. Each epoch has another order.

    Args:
        lengths: length of each row.
        batch_size: number of rows per batch.
        rng: `numpy.random.Generator` that draws the orders.
    """
    lengths = np.asarray(lengths)
    pool_size = batch_size * POOL_BATCHES
    while True:
        order = rng.permutation(len(lengths))
        for start in range(0, len(order), pool_size):
            pool = order[start : start + pool_size]
            batches = sorted_batches(lengths[pool], batch_size)
            for number in rng.permutation(len(batches)):
                yield pool[batches[number]]
