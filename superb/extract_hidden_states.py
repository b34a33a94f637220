"""Compute the hidden states of one shard of a corpus, for the tasks that train nothing in the encoder.

They are computed once for all of these tasks. Every utterance is computed alone, so the result does not depend on the number of
shards. Copies at other speeds are left out, as in the datasets.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders import load_trunk
from speech2unit.extract_features import rows_of_shard
from storage import tables
from storage.progress import progress
from superb.hidden_states import plain_hidden_states
from superb.schemas import HIDDEN_STATES
from training.device import choose_device

ROWS_IN_MEMORY = 16  # rows whose states are in memory at once


def state_columns(rows, states):
    """Return the columns of `HIDDEN_STATES` for manifest rows and their states, arrays `[L + 1, T_i, D]`."""
    values = pa.array(np.concatenate([np.asarray(array, np.float16).reshape(-1) for array in states]))
    offsets = np.cumsum([0] + [np.size(array) for array in states])
    return dict(
        utterance_id=[row["utterance_id"] for row in rows],
        split=[row["split"] for row in rows],
        num_states=[len(array) for array in states],
        num_frames=[len(array[0]) for array in states],
        states=pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values),
    )


def extract_hidden_states(*, manifest, model, config, hidden_states, root, shard, num_shards):
    """Stage: write the hidden states of all layers for one shard of a corpus. See `HIDDEN_STATES`.

    Args:
        manifest: manifest of the corpus, a table of `MANIFEST`.
        model, config: safetensors and JSON file of the encoder.
        hidden_states: table of `HIDDEN_STATES` to write.
        root: root folder of the corpus.
        shard: number of the shard, from 1.
        num_shards: number of shards.
    """
    trunk = load_trunk(Path(model).parent).to(choose_device(shard)).eval()
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    rows = rows_of_shard(rows, shard, num_shards)
    with tables.writer(hidden_states, HIDDEN_STATES) as writer:
        for start in progress(range(0, len(rows), ROWS_IN_MEMORY), "batches"):
            part = rows[start : start + ROWS_IN_MEMORY]
            waveforms = [read_utterance(Path(root) / row["path"], row, sample_rate=trunk.sample_rate) for row in part]
            writer.write(state_columns(part, plain_hidden_states(trunk, waveforms)))
