"""Speaker activity as symbols: made of segments or of loudness, and turned back into segments."""

import numpy as np
import pytest

from speech2unit.corpora.activity import activity_symbols, loud_frames, segments_of, symbols_of


def test_segments_become_symbols_of_10_ms():
    segments = [("b", 0.0, 0.03), ("a", 0.02, 0.05), ("b", 0.06, 0.07)]
    assert "".join(activity_symbols(segments, "here")) == "2231102"


@pytest.mark.parametrize("speakers", ["a", "abc"])
def test_another_number_of_speakers_is_refused(speakers):
    with pytest.raises(ValueError, match="here: a mixture has two speakers; expected segments of two speakers, got"):
        activity_symbols([(name, 0.0, 1.0) for name in speakers], "here")


def test_symbols_become_segments_and_back():
    assert segments_of("0011223333") == ["1 0.02 0.04", "1 0.06 0.10", "2 0.04 0.10"]
    assert segments_of("") == segments_of("000") == []
    rng = np.random.default_rng(0)
    for _ in range(100):
        symbols = symbols_of(rng.integers(2, size=(100, 2)))
        segments = [(name, float(start), float(end)) for name, start, end in map(str.split, segments_of(symbols))]
        assert activity_symbols(segments, "here") == list("".join(symbols).rstrip("0"))


def test_a_voice_is_heard_where_it_is_loud_and_in_short_gaps():
    envelope = np.repeat([0, 1, 0, 1, 0, 0.5, 0], [10, 5, 3, 5, 20, 5, 2])  # frames of 10 ms
    waveform = np.repeat(envelope, 160) * np.sin(np.arange(50 * 160)) + 1e-4 * np.random.default_rng(0).normal(size=50 * 160)
    loud = loud_frames(waveform, sample_rate=16_000, range_db=30, max_gap_seconds=0.05)
    assert np.flatnonzero(np.diff(loud.astype(int), prepend=0, append=0)).tolist() == [10, 23, 43, 48]
    assert loud_frames(waveform, sample_rate=16_000, range_db=3, max_gap_seconds=0.05)[43:48].sum() == 0
