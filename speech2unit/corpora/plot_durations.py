"""Plot a histogram of the durations of utterances, one panel per split."""

import numpy as np

from evaluation.figures import histogram_end, save, split_histograms
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.schemas import SPLITS

NUM_BINS = 40


def durations_by_split(manifest):
    """Return a dict from each split to the durations of its utterances in seconds, without copies at other speeds."""
    frame = manifest.to_pandas()
    frame = frame[frame.speed == 1]
    seconds = frame.num_samples / frame.sample_rate
    return {split: seconds[frame.split == split].to_numpy() for split in SPLITS if (frame.split == split).any()}


def plot_durations(*, manifest, figure):
    """Stage: draw the durations of the utterances of a corpus.

    Args:
        manifest: table of `MANIFEST` of a corpus with audio.
        figure: figure to write.
    """
    columns = ["utterance_id", "split", "speed", "num_samples", "sample_rate"]
    values = durations_by_split(tables.read(manifest, MANIFEST, columns))
    total = sum(part.sum() for part in values.values()) / 3600
    edges = np.linspace(0, 1.02 * histogram_end(values), NUM_BINS + 1)
    save(split_histograms(values, edges, "duration (s)", f"{total:.2f} h of speech as recorded"), figure)
