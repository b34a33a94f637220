"""Take the units of one fold of a corpus from those of the whole corpus, with the splits of the fold."""

import pyarrow as pa

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.schemas import UNITS
from storage import tables


def fold_units(*, whole, manifest, units):
    """Stage: write the units of the utterances in the manifest of a fold, with its splits. See `UNITS`.

    This is for codebooks that have not been fitted on the corpus, so that its units do not depend on the fold.

    Args:
        whole: table of `UNITS` of the corpus that is divided into folds.
        manifest: table of `MANIFEST` of the fold.
        units: table of `UNITS` to write.
    """
    columns = tables.read(manifest, MANIFEST, ["utterance_id", "split"])
    split_of = dict(zip(columns["utterance_id"].to_pylist(), columns["split"].to_pylist()))
    with tables.writer(units, UNITS) as out:
        for batch in tables.stream(whole, UNITS):
            splits = [split_of.get(name) for name in batch["utterance_id"].to_pylist()]
            table = pa.Table.from_batches([batch]).drop_columns("split").append_column("split", pa.array(splits, pa.string()))
            out.write(table.filter(table["split"].is_valid()))
