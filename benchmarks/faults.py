"""Faults of every class put in on purpose: how many were found, how many runs came to the same results all the same.

`python -m benchmarks.faults [class …]` runs the tests of all classes (or of some), each in a process of its own, and writes
`results/faults.json`. A test counts as one case, detected, unless it says itself how many it put in (pytest's
`record_property`: `injected`, `detected`, `recovered`). Silent is what was neither detected nor recovered.
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
CLASSES = {  # class → its tests, as pytest selects them
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
    """Injected, detected, recovered and silent cases of a JUnit report, and why tests were skipped."""
    found, skipped = dict(injected=0, detected=0, recovered=0), set()
    for case in ElementTree.parse(report).iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None
        own = {p.get("name"): int(p.get("value")) for p in case.iter("property") if p.get("name") in found}
        if (reason := case.find("skipped")) is not None:
            skipped.add(reason.get("message"))
        else:
            own = own or dict(detected=1)
            own.setdefault("injected", max(own.values()))
            if failed:  # a test that says nothing, or too much, before it fails
                own |= {name: min(own.get(name, 0), own["injected"] - 1) for name in ("detected", "recovered")}
            found = {name: number + own.get(name, 0) for name, number in found.items()}
    return found | dict(silent=found["injected"] - max(found["detected"], found["recovered"])), sorted(skipped)


def run(name):
    """The record of a class, after its tests have run."""
    started, before = time.monotonic(), load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        call = [sys.executable, "-m", "pytest", *CLASSES[name], f"--junitxml={report}", "-o", "junit_family=xunit1"]
        status = subprocess.run(call, env=os.environ | dict(FAULTS="all")).returncode
        cases, skipped = count(report)
    more = dict(skipped=skipped, failed=status != 0, seconds=round(time.monotonic() - started), load_before=before)
    return {"class": name, **cases, **more}


def main():
    """Run the classes that the command line names, or all of them, and write what came out beside what is there of others."""
    chosen = sys.argv[1:] or list(CLASSES)
    known = {record["class"]: record for record in (read_json(PATH)["classes"] if PATH.exists() else [])}
    for name in chosen:
        known[name] = run(name)
        ordered = [known[each] for each in CLASSES if each in known]
        write_json(PATH, dict(classes=ordered, versions=provenance.versions(), machine=machine()))
        print({key: value for key, value in known[name].items() if key != "skipped"}, flush=True)
    table.main()
    sys.exit(any(known[name]["failed"] or known[name]["silent"] for name in chosen))


if __name__ == "__main__":
    main()
