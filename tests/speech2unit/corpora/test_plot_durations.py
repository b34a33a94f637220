"""Durations in seconds as recorded."""

import pytest

from speech2unit.corpora import plot_durations as module
from speech2unit.corpora.plot_durations import durations_by_split, plot_durations
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from tests.factories import manifest_row


def row(name, split, num_samples, speed=1.0, sample_rate=16_000):
    cells = dict(labels=["a"], source_sample_rate=8000)
    return manifest_row(name, split=split, num_samples=num_samples, speed=speed, sample_rate=sample_rate, **cells)


ROWS = [
    row("a", "train", 16_000),
    row("sp0.5-a", "train", 32_000, speed=0.5),
    row("b", "train", 8_000),
    row("c", "test", 12_000, sample_rate=8_000),
]


@pytest.fixture
def manifest(tmp_path):
    tables.write(tmp_path / "manifest.parquet", ROWS, MANIFEST)
    return tmp_path / "manifest.parquet"


def test_seconds_without_the_copies_at_other_speeds(manifest):
    values = durations_by_split(tables.read(manifest, MANIFEST))
    assert {split: part.tolist() for split, part in values.items()} == dict(train=[1.0, 0.5], test=[1.5])


def test_the_figure_counts_every_utterance_once(manifest, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(module, "save", lambda figure, path: drawn.append(figure))
    plot_durations(manifest=manifest, figure=tmp_path / "durations.svg")
    train, test = drawn[0].axes
    assert [sum(bar.get_height() for bar in axes.patches) for axes in (train, test)] == [2, 1]
    assert test.get_xlabel() == "duration (s)" and test.get_xlim() == pytest.approx((0, 1.02 * 1.5))
    assert drawn[0].get_suptitle() == "0.00 h of speech as recorded"
