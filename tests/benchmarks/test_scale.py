"""Simulated corpora, exponents of growth, and the needs of a large corpus."""

import importlib
import inspect

import pytest

from benchmarks import plan, scale
from speech2unit.schemas import FEATURES
from storage import tables

STAGE = dict(seconds=[1.0, 36.0], cpu_seconds=[1.0, 36.0], peak_memory_mb=[100, 200], exponent=1.0, late_exponent=1.05)
SCALE = dict(
    sizes=[1000, 100_000], hours=100, stages=dict(reduce_units=STAGE), jobs=200, dry_run_cpu_seconds=3.0, peak_memory_mb=200,
    bytes_per_utterance=dict(manifest=10, units=600, reduced_units=300),
)  # fmt: skip
UNITS = dict(ours=0.1, flops_per_second_of_audio=1e10)


def test_linear_growth_has_exponent_one_and_quadratic_two():
    assert scale.exponent([10, 100, 1000], [3, 30, 300]) == pytest.approx(1)
    measurements = [{"a.b": dict(cpu_seconds=float(n**2))} for n in (10, 100, 1000)]
    assert scale.growth([10, 100, 1000], measurements)["b"]["late_exponent"] == pytest.approx(2)


def test_speakers_are_in_one_split_and_every_class_in_all(tmp_path):
    rows = [scale.utterance(i) for i in range(100_000)]
    assert len({row[0] for row in rows}) == len(rows)
    assert len({(speaker, split) for _, split, speaker, _ in rows}) == scale.NUM_SPEAKERS
    assert len({(split, label) for _, split, _, label in rows}) == 3 * scale.NUM_CLASSES


@pytest.mark.slow
def test_shards_hold_every_utterance_once(tmp_path):
    scale.simulate_features(tmp_path, 100)
    names = [
        name for path in (tmp_path / "features").iterdir() for name in tables.read(path, FEATURES)["utterance_id"].to_pylist()
    ]
    assert len(names) == len(set(names)) == 100


def test_stages_are_called_with_their_own_arguments(tmp_path):
    for stage, arguments in scale.calls(tmp_path).items():
        function = getattr(importlib.import_module(stage), stage.split(".")[-1])
        inspect.signature(function).bind(**arguments)


def test_the_needs_of_six_parts():
    need = plan.demand(SCALE, UNITS, 600)
    assert (need["parts"], need["utterances"], need["jobs"]) == (6, 600_000, 6 * 19)
    assert need["cpu_hours"] == pytest.approx(60) and need["gpu_hours"] == pytest.approx(600 * 1e10 / plan.GPU_FLOPS)
    assert need["stage_hours"]["reduce_units"] == pytest.approx(6 * 36 / 3600)
    assert need["bytes"]["features"] == 600 * 3600 * 50 * 768 * 4 == 6 * need["bytes"]["features_of_a_part"]
    assert "| features of all parts, 768 × 4 bytes per frame | 0.332 TB | not with `features: none` |" in plan.plan_table(need)
    assert "| `reduce_units` | 1.0 s | 36.0 s | 1.05 | 200 MB |" in plan.stages_table(SCALE)


def test_the_page_has_the_marks():
    text = plan.PAGE.read_text()
    assert [text.count(mark) for mark in plan.MARKS] == [1, 1]
