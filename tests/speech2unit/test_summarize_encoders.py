"""One row an encoder, with the task on its units where there is one."""

from speech2unit import tables
from speech2unit.files import write_json
from speech2unit.schemas import ENCODERS_SUMMARY, MEASUREMENTS, PROBE
from speech2unit.summarize_encoders import summarize_encoders


def costs(encoder, parent=None):
    return dict(
        encoder=encoder, parent=parent, architecture="melhubert", parameters=10, density=1.0, multiply_adds=2e6, real_time_factor=0.01,
        speedup=1.0, memory_mb=20.0, file_size_mb=1.5,
    )  # fmt: skip


def probe(encoder):
    return dict(
        encoder=encoder, corpus="c", codebook=f"{encoder}_5", layer=1, probe_accuracy=0.5, num_test_rows=9, purity=0.3, pnmi=0.2,
        agreement=0.9,
    )  # fmt: skip


def test_rows_are_joined_by_the_encoders_name(tmp_path):
    tables.write(tmp_path / "m.parquet", [costs("a"), costs("b", "a"), costs("only_a_parent")], MEASUREMENTS)
    for name in ("b", "a"):
        tables.write(tmp_path / f"{name}.parquet", [probe(name)], PROBE)
    report = dict(task="SCR_b", accuracy=0.8, accuracy_low=0.7, accuracy_high=0.9, names=dict(encoder="b", ulm="lm"), value=0.8)
    write_json(tmp_path / "acc.json", report)
    summarize_encoders(
        measurements=tmp_path / "m.parquet", probes=[tmp_path / "b.parquet", tmp_path / "a.parquet"], acc=[tmp_path / "acc.json"],
        summary=tmp_path / "summary.parquet",
    )  # fmt: skip
    a, b = tables.read(tmp_path / "summary.parquet", ENCODERS_SUMMARY).to_pylist()
    nothing = dict.fromkeys(["task", "accuracy", "accuracy_low", "accuracy_high", "unit_lm"])
    assert a == costs("a") | probe("a") | nothing
    told = dict(task="SCR_b", accuracy=0.8, accuracy_low=0.7, accuracy_high=0.9, unit_lm="lm")
    assert b == costs("b", "a") | probe("b") | told
