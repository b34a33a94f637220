"""Hidden states of one shard of a corpus, for tasks in which the encoder stays as it is: it reads every utterance once.

Each utterance is read by itself, whatever the shard. Copies at other speeds are left out, as in the datasets.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from speech2unit.corpora.audio import read_utterance
from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders import load_trunk
from speech2unit.extract_features import shard_of
from storage import tables
from storage.progress import progress
from superb.hidden_states import hidden_states as encoder_states
from superb.schemas import HIDDEN_STATES
from training.device import choose_device

ROWS_AT_ONCE = 16  # of which the states are in memory


def state_rows(rows, states):
    """Columns of `HIDDEN_STATES` from manifest rows and their states, arrays `[L + 1, T_i, D]`."""
    values = pa.array(np.concatenate([np.asarray(each, np.float16).reshape(-1) for each in states]))
    offsets = np.cumsum([0] + [np.size(each) for each in states])
    columns = {name: [row[name] for row in rows] for name in ("utterance_id", "split")}
    columns |= dict(num_states=[len(each) for each in states], num_frames=[len(each[0]) for each in states])
    return columns | dict(states=pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values))


def extract_hidden_states(*, manifest, model, config, hidden_states, root, shard, num_shards):
    """Stage: `hidden_states` of shard `shard` (from 1) of `num_shards`, all layers, float16. See `HIDDEN_STATES`."""
    trunk = load_trunk(Path(model).parent).to(choose_device(shard)).eval()
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    rows, rate = shard_of(rows, shard, num_shards), trunk.sample_rate
    with tables.writer(hidden_states, HIDDEN_STATES) as out:
        for start in progress(range(0, len(rows), ROWS_AT_ONCE), "batches"):
            part = rows[start : start + ROWS_AT_ONCE]
            waveforms = [read_utterance(Path(root) / row["path"], row, sample_rate=rate) for row in part]
            out.write(state_rows(part, encoder_states(trunk, waveforms)))
