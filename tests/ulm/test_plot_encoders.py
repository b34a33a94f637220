"""The figure of encoders: one point per measure and encoder, and a line to the parent."""

import pandas
import pytest

from storage import tables
from ulm.plot_encoders import COSTS, MEASURES, cost_values, draw, plot_encoders
from ulm.schemas import ENCODERS_SUMMARY
from ulm.summarize_encoders import NO_TASK

NAMES = ("parent", "child", "alone")
WITH_TASK = dict(tasks=["t"], unit_lms=["lm"], accuracies=[0.8], accuracy=0.8, accuracy_low=0.7, accuracy_high=0.85)


def row(encoder, **changed):
    return dict(
        encoder=encoder, parent=None, architecture="melhubert", parameters=4_000_000, density=1.0, multiply_adds=2e8,
        real_time_factor=0.01, speedup=1.0, memory_mb=20.0, file_size_mb=16.0, corpus="c", codebook="k", layer=2, probe_accuracy=0.5,
        num_test_rows=9, purity=0.3, pnmi=0.2, agreement=1.0, **NO_TASK,
    ) | changed  # fmt: skip


@pytest.fixture
def rows():
    compared = dict(
        accuracy=0.7, accuracy_low=0.6, accuracy_high=0.75, difference=-0.1, difference_low=-0.15, difference_high=-0.05
    )
    child = row("child", parent="parent", density=0.25, agreement=0.6, **WITH_TASK | compared)
    return [row("parent", **WITH_TASK), child, row("alone")]


def marks(axes):
    """Return (x, y) of every point, and the ends of its interval."""
    dots = [container[0].get_xydata()[0].tolist() for container in axes.containers]
    return dots, [container[2][0].get_segments()[0] for container in axes.containers]


def test_every_encoder_has_a_point_with_an_interval_per_cost_and_a_line_to_its_parent(rows):
    panels = draw(pandas.DataFrame(rows)).axes[: len(COSTS)]
    assert [axes.get_xlabel() for axes in panels] == [label for label, _ in COSTS.values()]
    dots, bars = marks(panels[0])
    assert dots[:2] == [[4.0, 0.8], [1.0, 0.7]] and [x for x, _ in dots] == [4.0, 1.0, 4.0]
    assert [bar[:, 1].tolist() for bar in bars[:2]] == [pytest.approx([0.7, 0.85]), pytest.approx([0.6, 0.75])]
    (line,) = [line for line in panels[0].lines if len(line.get_xdata()) == 2]
    assert line.get_xydata().tolist() == [[4.0, 0.8], [1.0, 0.7]]


def test_every_encoder_has_a_line_per_measure(rows):
    panels = draw(pandas.DataFrame(rows)).axes[len(COSTS) :]
    assert [axes.get_xlabel() for axes in panels] == [label for label, _ in MEASURES.values()]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list(NAMES) and panels[0].yaxis_inverted()
    dots, bars = marks(panels[0])
    assert dots[1] == [pytest.approx(-10), 1] and bars[1][:, 0].tolist() == pytest.approx([-15, -5])
    assert marks(panels[2])[0] == [[1.0, 0], [0.6, 1], [1.0, 2]]


def test_without_any_task_the_accuracy_is_that_of_the_probe(rows):
    panels = draw(pandas.DataFrame([row(name) for name in NAMES])).axes
    assert panels[0].get_ylabel() == "accuracy of a linear probe" and marks(panels[0])[0] == [[4.0, 0.5]] * 3


def test_an_interval_of_one_value_has_no_length(rows):
    """An encoder has such an interval if its task gets the same rows right as that of its parent."""
    rows[1] |= dict(difference=0.1 + 0.2, difference_low=0.3, difference_high=0.3)
    assert marks(draw(pandas.DataFrame(rows)).axes[len(COSTS)])[1][1][:, 0].tolist() == pytest.approx([30, 30])


def test_zeros_do_not_count_as_parameters(rows):
    frame = pandas.DataFrame(rows)
    assert cost_values(frame, "parameters").tolist() == [4.0, 1.0, 4.0]
    assert cost_values(frame, "real_time_factor").tolist() == pytest.approx([10.0] * 3)


@pytest.mark.slow
def test_the_stage_writes_a_figure(rows, tmp_path):
    tables.write(tmp_path / "s.parquet", rows, ENCODERS_SUMMARY)
    plot_encoders(summary=tmp_path / "s.parquet", figure=tmp_path / "encoders.svg")
    assert "</svg>" in (tmp_path / "encoders.svg").read_text()
