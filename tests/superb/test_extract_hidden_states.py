"""Hidden states that are kept: those of the encoder, for every layer and utterance, in any number of shards."""

import numpy as np
import pytest
import soundfile

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders import load_trunk
from storage import tables
from superb.extract_hidden_states import extract_hidden_states
from superb.hidden_states import plain_hidden_states
from superb.inputs import load_hidden_states


@pytest.mark.slow
def test_states_are_the_encoders_and_shards_change_nothing(tones, melhubert, tmp_path):
    folder, rows = tones
    copy = rows[0] | dict(utterance_id="sp1.1-u00", speed=1.1)
    tables.write(tmp_path / "manifest.parquet", [*rows, copy], MANIFEST)
    encoder = dict(model=melhubert / "model.safetensors", config=melhubert / "config.json")
    states_by_sharding = []
    for num_shards in (1, 3):
        paths = [tmp_path / f"{shard}-of-{num_shards}.parquet" for shard in range(1, num_shards + 1)]
        for shard, path in enumerate(paths, 1):
            extract_hidden_states(
                manifest=tmp_path / "manifest.parquet",
                **encoder,
                hidden_states=path,
                root=folder,
                shard=shard,
                num_shards=num_shards,
            )
        states_by_sharding.append(load_hidden_states(paths))
    unsharded, sharded = states_by_sharding
    assert set(unsharded) == set(sharded) == {row["utterance_id"] for row in rows}
    assert all((unsharded[name] == sharded[name]).all() for name in unsharded)
    wave = soundfile.read(folder / "u05.wav", dtype="float32")[0]
    (expected,) = plain_hidden_states(load_trunk(melhubert), [wave])
    assert unsharded["u05"].shape == expected.shape and unsharded["u05"].dtype == np.float16
    assert np.abs(unsharded["u05"] - expected).max() < 1e-2
