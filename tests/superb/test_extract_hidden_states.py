"""Kept hidden states: every layer of every utterance once, the same as the encoder's own, whatever the shards."""

import numpy as np
import soundfile

from speech2unit.corpora.schemas import MANIFEST
from speech2unit.encoders import load_trunk
from storage import tables
from superb.extract_hidden_states import extract_hidden_states
from superb.hidden_states import plain_hidden_states
from superb.inputs import load_hidden_states


def test_states_are_the_encoders_and_shards_change_nothing(tones, melhubert, tmp_path):
    folder, rows = tones
    copy = rows[0] | dict(utterance_id="sp1.1-u00", speed=1.1)
    tables.write(tmp_path / "manifest.parquet", [*rows, copy], MANIFEST)
    encoder = dict(model=melhubert / "model.safetensors", config=melhubert / "config.json")
    found = []
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
        found.append(load_hidden_states(paths))
    assert set(found[0]) == set(found[1]) == {row["utterance_id"] for row in rows}
    assert all((found[0][name] == found[1][name]).all() for name in found[0])
    wave = soundfile.read(folder / "u05.wav", dtype="float32")[0]
    (expected,) = plain_hidden_states(load_trunk(melhubert), [wave])
    assert found[0]["u05"].shape == expected.shape and found[0]["u05"].dtype == np.float16
    assert np.abs(found[0]["u05"] - expected).max() < 1e-2
