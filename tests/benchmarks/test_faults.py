"""How the tests of a class are counted."""

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
    found, skipped = faults.count(tmp_path / "report.xml")
    assert tuple(found[name] for name in ("injected", "detected", "recovered", "silent")) == expected
    assert skipped == (["no root"] if "skipped" in cases else [])


def test_every_class_names_tests_that_exist():
    for selection in faults.CLASSES.values():
        for name in selection[: selection.index("-k") if "-k" in selection else None]:
            file, _, function = name.partition("::")
            assert f"def {function}" in (ROOT / file).read_text()
