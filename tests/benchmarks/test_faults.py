"""Faults: how the tests of a class are counted, and that they exist."""

import re
from pathlib import Path

import pytest

from benchmarks import faults

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("cases, expected", [
    ("<testcase/><testcase/>", (2, 2, 0, 0)),
    ("<testcase/><testcase><failure/></testcase>", (2, 1, 0, 1)),
    ("<testcase><properties><property name='injected' value='7'/><property name='recovered' value='7'/></properties></testcase>",
     (7, 0, 7, 0)),
    ("<testcase><properties><property name='detected' value='5'/></properties><error/></testcase>", (5, 4, 0, 1)),
    ("<testcase><skipped message='no root'/></testcase>", (0, 0, 0, 0)),
])  # fmt: skip
def test_counts(tmp_path, cases, expected):
    (tmp_path / "report.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    counts, skipped = faults.count(tmp_path / "report.xml")
    assert tuple(counts[name] for name in ("injected", "detected", "recovered", "silent")) == expected
    assert skipped == (["no root"] if "skipped" in cases else [])


@pytest.mark.parametrize("name", faults.CLASSES)
def test_the_tests_of_a_class_exist(name):
    selection = faults.CLASSES[name]
    paths, keywords = selection, []
    if "-k" in selection:
        paths = selection[: selection.index("-k")]
        keywords = re.findall(r"\w+", selection[-1])
    test_names = []
    for path in paths:
        file, _, function = path.partition("::")
        text = (ROOT / file).read_text() if file.endswith(".py") else ""
        assert f"def {function}" in text
        test_names += re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    for keyword in set(keywords) - {"not", "or"}:
        assert any(keyword in test_name for test_name in test_names), f"no test of '{name}' has '{keyword}' in its name"
