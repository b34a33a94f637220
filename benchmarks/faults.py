"""Inject faults of every class, and count how many were detected and how many runs reached the same results anyway.

`python -m benchmarks.faults [class …]` runs the tests of all classes, or of those named, each class in a process of its own. It
writes `results/faults.json` and the table in RESULTS.md. A test counts as one detected fault, unless it reports other numbers
with pytest's `record_property`: `injected`, `detected` and `recovered`. A fault that is neither detected nor recovered is silent.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks import table
from benchmarks.side_by_side import RESULTS, load, machine
from storage import provenance
from storage.files import read_json, write_json

FAULTS = "tests/workflow/faults"
CLASSES = {  # class → its tests, as arguments of pytest
    "kill -9 and resume, every rule": [
        f"{FAULTS}/test_kill_and_resume.py::test_a_job_that_is_killed_is_made_again",
        f"{FAULTS}/test_kill_and_resume.py::test_a_job_of_another_rule_that_is_killed_is_made_again",
    ],
    "kill -9 and resume, any moment": [f"{FAULTS}/test_kill_and_resume.py::test_runs_that_are_killed_at_any_moment_end_alike"],
    "kill within training": [f"{FAULTS}/test_kill_and_resume.py::test_training_that_is_killed_ends_as_if_it_were_not"],
    "bad audio": [
        "tests/speech2unit/corpora/test_make_manifest.py::test_each_bad_file_is_one_row_with_its_code_and_the_good_ones_do_not_notice",
        "tests/speech2unit/corpora/test_audio.py",
    ],
    "valid but unusual": ["tests/speech2unit/corpora/test_unusual_corpora.py"],
    "long audio": [f"{FAULTS}/test_long_audio.py"],
    "damaged intermediates": [f"{FAULTS}/test_damaged_results.py"],
    "config": ["tests/workflow/test_config.py", "tests/workflow/test_config_tables.py"],
    "hostile files": ["tests/storage/untrusted/test_hostile_files.py", "tests/storage/untrusted/test_hostile_settings.py"],
    "disk full, read-only": [f"{FAULTS}/test_full_disk.py"],
    "names and paths": [
        "tests/speech2unit/corpora/test_audio.py",
        "tests/speech2unit/corpora/test_make_manifest.py",
        "-k",
        "name or odd or notice",
    ],
    "scale": ["tests/workflow/test_dag.py::test_100_000_utterances_are_planned_in_10_seconds_and_300_jobs"],
    "data integrity": [
        "tests/speech2unit/corpora/test_splits.py",
        "tests/speech2unit/corpora/test_make_manifest.py",
        "-k",
        "not notice",
    ],
    "determinism": [f"{FAULTS}/test_determinism.py"],
    "downloads": ["tests/storage/untrusted/test_download_checkpoint.py"],
    "metrics": ["tests/evaluation/test_metrics.py"],
    "fuzzing": [f"{FAULTS}/test_fuzz.py"],
}
PATH = RESULTS / "faults.json"


def count(report):
    """Return the numbers of injected, detected, recovered and silent faults in a JUnit report, and why tests were skipped."""
    totals = dict(injected=0, detected=0, recovered=0)
    skipped = set()
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            skipped.add(skip.get("message"))
            continue
        counts = {item.get("name"): int(item.get("value")) for item in case.iter("property") if item.get("name") in totals}
        counts = counts or dict(detected=1)
        counts.setdefault("injected", max(counts.values()))
        if case.find("failure") is not None or case.find("error") is not None:
            # A test that fails has missed at least one fault, even if its report does not say so.
            counts |= {name: min(counts.get(name, 0), counts["injected"] - 1) for name in ("detected", "recovered")}
        totals = {name: total + counts.get(name, 0) for name, total in totals.items()}
    silent = totals["injected"] - max(totals["detected"], totals["recovered"])
    return totals | dict(silent=silent), sorted(skipped)


def run(name):
    """Run the tests of a class and return its record."""
    started = time.monotonic()
    load_before = load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", *CLASSES[name], f"--junitxml={report}", "-o", "junit_family=xunit1"]
        status = subprocess.run(command, env=os.environ | dict(FAULTS="all")).returncode
        counts, skipped = count(report)
    return {
        "class": name,
        **counts,
        "skipped": skipped,
        "failed": status != 0,
        "seconds": round(time.monotonic() - started),
        "load_before": load_before,
    }


def main():
    """Run the classes that the command line names, or all classes, and update their records. Other records stay as they are."""
    chosen = sys.argv[1:] or list(CLASSES)
    records = {record["class"]: record for record in (read_json(PATH)["classes"] if PATH.exists() else [])}
    for name in chosen:
        records[name] = run(name)
        ordered = [records[class_name] for class_name in CLASSES if class_name in records]
        write_json(PATH, dict(classes=ordered, versions=provenance.versions(), machine=machine()))
        print({key: value for key, value in records[name].items() if key != "skipped"}, flush=True)
    table.main()
    sys.exit(any(records[name]["failed"] or records[name]["silent"] for name in chosen))


if __name__ == "__main__":
    main()
