"""Collect the units of a corpus in one codebook from the shards of `encode_shard`."""

import pyarrow.compute as pc

from speech2unit.assign_units import write_units
from speech2unit.schemas import ENCODED_UNITS
from storage import tables


def collect_units(*, encoded_units, centroids, units, codebook):
    """Stage: write one unit per frame of every utterance, in order of utterance_id. See `UNITS`.

    Args:
        encoded_units: tables of `ENCODED_UNITS`, all shards of a corpus.
        centroids: table of `CENTROIDS` of the codebook.
        units: table of `UNITS` to write.
        codebook: name of the codebook.
    """
    batches = (batch for path in encoded_units for batch in tables.stream(path, ENCODED_UNITS))
    write_units(units, (batch.filter(pc.equal(batch["codebook"], codebook)) for batch in batches), centroids)
