"""The figure of encoders: a point a measure and encoder, a line from each to its parent."""

import pandas
import pytest

from speech2unit import tables
from ulm.plot_encoders import COSTS, draw, plot_encoders, points
from ulm.schemas import ENCODERS_SUMMARY
from ulm.summarize_encoders import NO_TASK

NAMES = ("parent", "child", "alone")


def row(encoder, **changed):
    return dict(
        encoder=encoder, parent=None, architecture="melhubert", parameters=4_000_000, density=1.0, multiply_adds=2e8,
        real_time_factor=0.01, speedup=1.0, memory_mb=20.0, file_size_mb=16.0, corpus="c", codebook="k", layer=2, probe_accuracy=0.5,
        num_test_rows=9, purity=0.3, pnmi=0.2, agreement=1.0, **NO_TASK | dict(tasks=["t"], accuracy=0.8),
    ) | changed  # fmt: skip


@pytest.fixture
def rows():
    return [row("parent"), row("child", parent="parent", density=0.25, accuracy=0.7, agreement=0.6), row("alone", **NO_TASK)]


def test_every_encoder_is_a_point_and_hangs_on_its_parent(rows):
    frame = pandas.DataFrame(rows)
    panels = draw(frame).axes
    assert len(panels) == len(COSTS) and [text.get_text() for text in panels[0].texts] == list(NAMES)
    accuracies, probes, agreements, line = (one.get_ydata() for one in panels[0].lines)
    assert list(accuracies[:2]) == [0.8, 0.7] and list(probes) == [0.5] * 3 and list(agreements) == [1.0, 0.6, 1.0]
    assert list(line) == [0.8, 0.7] and list(panels[0].lines[3].get_xdata()) == [4.0, 1.0]


def test_zeros_take_no_parameter(rows):
    frame = pandas.DataFrame(rows)
    assert points(frame, "parameters").tolist() == [4.0, 1.0, 4.0]
    assert points(frame, "real_time_factor").tolist() == pytest.approx([10.0] * 3)


def test_the_stage_writes_a_figure(rows, tmp_path):
    tables.write(tmp_path / "s.parquet", rows, ENCODERS_SUMMARY)
    plot_encoders(summary=tmp_path / "s.parquet", figure=tmp_path / "encoders.svg")
    assert "</svg>" in (tmp_path / "encoders.svg").read_text()
