"""Assign units: the unit of a frame is the index of the nearest centroid in a codebook."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from speech2unit import projection as projections
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import CENTROIDS, FEATURES, UNITS
from speech2unit.unit_quality import perplexity
from storage import tables
from storage.errors import notice

LOW_PERPLEXITY = 0.5  # of the perplexity in training; synthetic voices alone give .15 to .5 on real ones, fitting ones .8 to 1
ROWS_IN_MEMORY = 1000  # that are sorted and counted at once: both work on 64-bit numbers, four times as large as the units
FRAMES_PER_UNIT = 10  # fewer cannot show how varied units are


def load_centroids(path):
    """Return the centroids `[K, dim]` in a table of `CENTROIDS`, in the order of their units."""
    table = tables.read(path, CENTROIDS).sort_by("unit")
    return np.stack(table["centroid"].to_numpy(zero_copy_only=False))


def load_codebook(centroids, projection, context_frames):
    """Return a function that maps the features `[T, dim]` of an utterance to its units `[T]`.

    Args:
        centroids, projection, context_frames: see `assign_units`.
    """
    matrix = load_centroids(centroids)
    project = projections.load(projection, context_frames)
    return lambda frames: nearest_centroids(project(frames), matrix)


def assign_units(*, features, centroids, projection, units, codebook, context_frames):
    """Stage: write one unit per frame of every utterance, in order of utterance_id. See `UNITS`.

    Args:
        features: tables of `FEATURES`, all shards of a corpus.
        centroids: table of `CENTROIDS` of the codebook.
        projection: table of `PROJECTION` of the codebook.
        units: table of `UNITS` to write.
        codebook: name of the codebook.
        context_frames: number of frames before and after each frame that k-means sees together with it.

    Raises:
        ValueError: if the features do not have the dimension of the codebook.
    """
    assign = load_codebook(centroids, projection, context_frames)
    batches = (batch for path in features for batch in tables.stream(path, FEATURES))
    write_units(units, (_units_batch(batch, assign, codebook) for batch in batches), centroids)


def write_units(path, batches, centroids):
    """Write the units of a corpus in order of utterance_id, and warn if the codebook does not suit its speech.

    Args:
        path: table of `UNITS` to write.
        batches: record batches with the columns of `UNITS`.
        centroids: table of `CENTROIDS` of the codebook.
    """
    table = pa.Table.from_batches(batches, UNITS).combine_chunks()
    order = pc.sort_indices(table["utterance_id"])
    in_training = tables.read(centroids, CENTROIDS, ["num_frames"])["num_frames"]
    counts = np.zeros(len(in_training), np.int64)
    with tables.writer(path, UNITS) as out:
        for start in range(0, len(table), ROWS_IN_MEMORY):
            part = table.take(order.slice(start, ROWS_IN_MEMORY))
            out.write(part)
            counts += np.bincount(part["units"].combine_chunks().flatten(), minlength=len(counts))
    if not in_training.null_count:  # published codebooks do not say
        warn_of_unlike_speech(counts, in_training.to_numpy(), path)


def warn_of_unlike_speech(counts, training_counts, place):
    """Say so if few units take nearly all frames of a corpus, because the encoder has been trained on other speech.

    Args:
        counts: frames of each unit in the corpus `[K]`.
        training_counts: frames of each unit when the codebook was fitted `[K]`.
        place: the table, for the message.
    """
    if counts.sum() < FRAMES_PER_UNIT * len(counts):
        return
    corpus, training = perplexity(counts), perplexity(training_counts)
    if corpus < LOW_PERPLEXITY * training:
        notice(
            f"{place}: the speech is unlike that of the codebook: its units are as varied as {corpus:.0f} equally frequent ones, "
            f"where the training speech had {training:.0f}. Expect poor results; fit a codebook on this corpus, on an encoder trained on "
            "such speech (docs/own_data.md)"
        )


def _units_batch(batch, assign, codebook):
    """Return the record batch of `UNITS` of a record batch of `FEATURES`; `assign` is the result of `load_codebook`."""
    units = []
    for values, num_frames in zip(batch["features"], batch["num_frames"]):
        units.append(assign(values.values.to_numpy().reshape(num_frames.as_py(), -1)))
    columns = dict(utterance_id=batch["utterance_id"], split=batch["split"], codebook=[codebook] * len(units), units=units)
    return pa.record_batch(columns, schema=UNITS)
