"""The benchmark of fused units: its corpus, and the comparison of units."""

import numpy as np
import pytest
import soundfile

from benchmarks import fused_units
from speech2unit.quantize import nearest_centroids
from speech2unit.schemas import ENCODED_UNITS
from storage import tables


def test_utterances_have_their_length_and_differ(tmp_path):
    paths, _ = fused_units.write_corpus(tmp_path, 3)
    waveforms = [soundfile.read(path)[0] for path in paths]
    assert {len(waveform) for waveform in waveforms} == {12 * 16_000}
    assert not np.array_equal(waveforms[0], waveforms[1]) and len((tmp_path / "metadata.csv").read_text().splitlines()) == 4


def test_other_units_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    features = [rng.normal(size=(length, 6)).astype(np.float32) for length in (30, 50)]
    centroids = dict(first=features[0][:9], second=features[1][:7])
    rows = [
        dict(utterance_id=f"u{i}", split="train", codebook=name, units=nearest_centroids(frames, values))
        for name, values in centroids.items()
        for i, frames in reversed(list(enumerate(features)))
    ]
    tables.write(tmp_path / "u.parquet", rows, ENCODED_UNITS)
    units = tables.read(tmp_path / "u.parquet", ENCODED_UNITS)
    assert fused_units.same_units(units, features, centroids) == dict(num_units=160)
    with pytest.raises(ValueError, match="the units of u0 in first are not those of its features"):
        fused_units.same_units(units, features[::-1], centroids)
