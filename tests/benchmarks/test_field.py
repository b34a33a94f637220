"""Situations from the field: their tests exist, and the table says how they ended."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import field

ROOT = Path(__file__).parents[2]
SITUATION = field.Situation("odd", "read", ["tests/a.py::test_a", "tests/a.py::test_b"])
CASE = '<testcase file="tests/a.py" name="{}">{}</testcase>'


@pytest.mark.parametrize("situation", field.SITUATIONS, ids=lambda situation: situation.name)
def test_the_tests_of_a_situation_exist(situation):
    for test in situation.tests:
        file, _, function = test.partition("::")
        assert re.search(rf"^def {function}\(", (ROOT / file).read_text(), re.MULTILINE), test


def test_names_differ():
    assert len({situation.name for situation in field.SITUATIONS}) == len(field.SITUATIONS)


@pytest.mark.parametrize(
    ("cases", "got", "is_expected"),
    [
        ([("test_a[1]", ""), ("test_a[2]", ""), ("test_b", "")], "as expected (3 passed)", True),
        ([("test_a", ""), ("test_b", '<skipped message="no PyAV"/>')], "as expected (1 passed, 1 skipped)", True),
        ([("test_a", '<skipped message="no PyAV"/>'), ("test_b", '<skipped message="x"/>')], "skipped: no PyAV", True),
        ([("test_a", ""), ("test_b", '<failure message="assert 1 == 2&#10;more"/>')], "1 of 2 failed: assert 1 == 2", False),
        ([("test_a", ""), ("test_b", '<error message="no such fixture"/>')], "1 of 2 failed: no such fixture", False),
        ([("test_a", "")], "not run: tests/a.py::test_b", False),
    ],
)
def test_what_a_situation_ended_with(tmp_path, cases, got, is_expected):
    text = "".join(CASE.format(*case) for case in cases)
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{text}</testsuite></testsuites>")
    assert field.outcome(SITUATION, field.results(tmp_path / "report.xml")) == (got, is_expected)


@pytest.mark.slow
def test_the_command_prints_the_table():
    command = [sys.executable, "-m", "benchmarks.field", "speaker pattern", "script that is"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[0] == "| situation | expected | got |" and len(lines) == 4
    assert all(re.search(r"\| as expected \(\d+ passed\) \|$", line) for line in lines[2:])


def test_words_that_name_nothing_are_refused():
    done = subprocess.run([sys.executable, "-m", "benchmarks.field", "zzz"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "python -m benchmarks.field runs all of them" in done.stderr
