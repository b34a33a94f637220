"""The tables of RESULTS.md: one row per result, between their marks."""

from benchmarks import table
from storage.files import write_json

RECORD = dict(name="nap", what="sleep", unit="s", ours=0.0123456, peer=0.5, ratio=40.5, aim=40, machine=dict(load_before=0.04))


def test_the_tables_are_between_their_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    monkeypatch.setattr(table, "PAGE", tmp_path / "RESULTS.md")
    marks = "old\n".join(table.SPEED_MARKS) + "\nbetween\n" + "".join(table.FAULT_MARKS)
    table.PAGE.write_text(f"above\n{marks}\nbelow\n")
    write_json(
        tmp_path / "faults.json", dict(classes=[{"class": "kill", "injected": 1200, "detected": 0, "recovered": 7, "silent": 3}])
    )
    write_json(tmp_path / "nap.json", RECORD)
    write_json(tmp_path / "work.json", RECORD | dict(name="work", aim=None, ratio_of_cpu_time=2))
    table.main()
    table.main()
    text = table.PAGE.read_text()
    assert text.startswith("above\n") and text.endswith("below\n") and "old" not in text
    for row in (
        "| `nap` | 0.0123 s | 0.5 s | 40.50 | ≥ 40 | – | 0.0 | sleep |",
        "| `work` | 0.0123 s | 0.5 s | 40.50 | – | 2.00 | 0.0 | sleep |",
    ):
        assert f"\n{row}\n" in text
    assert "|---|---:|---:|---:|---:|\n| kill | 1,200 | 0 | 7 | 3 |\n" in text.partition("between")[2]


def test_the_page_has_the_marks():
    text = table.PAGE.read_text()
    assert all(text.count(mark) == 1 for mark in (*table.SPEED_MARKS, *table.FAULT_MARKS))
