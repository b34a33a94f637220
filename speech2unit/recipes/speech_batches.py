"""Choose the speech to train an encoder on: utterances, their batches, and a segment of each utterance."""

from pathlib import Path

import numpy as np

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders.models.log_mel import HOP_SAMPLES, MIN_SAMPLES, SAMPLE_RATE_HZ
from storage import tables
from storage.errors import data_error

SORTED_UTTERANCES = 1500  # number of utterances that are sorted by length together


def training_rows(manifests, roots):
    """Yield the training utterances of several corpora, without copies at other speeds.

    Args:
        manifests: list of tables of `MANIFEST`, one per corpus.
        roots: root folder of each corpus.

    Yields:
        Pairs (path of the audio, manifest row).
    """
    for manifest, root in zip(manifests, roots):
        for row in tables.read(manifest, MANIFEST).to_pylist():
            if row["split"] == "train" and row["speed"] == 1:
                yield Path(root) / row["path"], row


def split_off_dev(rows, dev_fraction, seed):
    """Split utterances at random into two parts, for the dev loss and for training.

    Args:
        rows: list of utterances.
        dev_fraction: fraction of the utterances for the dev loss, from 0 to 1; their number is rounded down.
        seed: seed of the split.

    Returns:
        Two lists, the utterances for the dev loss and those for training.

    Raises:
        ValueError: if one of the two lists would be empty.
    """
    order = np.random.default_rng(seed).permutation(len(rows))
    num_dev = int(len(rows) * dev_fraction)
    if not 0 < num_dev < len(rows):
        raise data_error(
            "training of an encoder",
            "some utterances are for training and some for the dev loss",
            expected="at least one of each",
            got=f"{num_dev} of {len(rows)} for the dev loss",
            remedy="change 'dev_fraction' in the preset, or add speech",
        )
    dev = [rows[position] for position in order[:num_dev]]
    train = [rows[position] for position in order[num_dev:]]
    return dev, train


def batches_by_length(rows, max_frames_per_batch, max_frames, rng, hop_length=HOP_SAMPLES):
    """Yield batches without end, as positions in `rows`. The utterances of a batch have similar lengths.

    Long utterances come more often, since only a crop of them is used at a time: an utterance that is n times as long as a crop
    comes about n / 2 times per epoch, and at least once.

    Args:
        rows: list of (path of the audio, manifest row) pairs.
        max_frames_per_batch: number of frames that a batch has, approximately; longer utterances count as crops.
        max_frames: length of a crop in frames.
        rng: `numpy.random.Generator`.
        hop_length: samples per frame.
    """
    num_frames = np.array([row["num_samples"] // hop_length for _, row in rows])
    num_crops = np.maximum(1, np.round(num_frames / (2 * max_frames)).astype(int))
    epoch = np.repeat(np.arange(len(rows)), num_crops)
    while True:
        order = rng.permutation(epoch)
        for positions in np.array_split(order, max(1, len(order) // SORTED_UTTERANCES)):
            positions = positions[np.argsort(num_frames[positions], kind="stable")]
            batch_numbers = np.minimum(num_frames[positions], max_frames).cumsum() // max_frames_per_batch
            batches = np.split(positions, np.flatnonzero(np.diff(batch_numbers)) + 1)
            for number in rng.permutation(len(batches)):
                yield batches[number]


def read_waveforms(rows):
    """Yield the waveform `[N]` (float32, 16 kHz) and the manifest row of each (path, manifest row) pair."""
    for path, row in rows:
        yield read_utterance(path, row, sample_rate=SAMPLE_RATE_HZ), row


def random_segment(waveform, max_frames, rng):
    """Return a random segment of a waveform `[N]`, of at most `max_frames` frames of 20 ms."""
    length = max_frames * HOP_SAMPLES + MIN_SAMPLES - HOP_SAMPLES
    start = int(rng.integers(0, max(len(waveform) - length, 0) + 1))
    return waveform[start : start + length]
