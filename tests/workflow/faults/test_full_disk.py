"""A disk that is full, or read-only, under every rule: the run stops, names the file, leaves nothing, and can go on."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow.faults.rules import OUTPUTS
from tests.workflow.faults.runs import ALL, contents, is_clean, remove, restore, resume

QUICK = ["verbalizer.fit_verbalizer"]
READ_ONLY = ["ulm.tune_prompt", "verbalizer.fit_verbalizer", "speech2unit.corpora.make_manifest"] if ALL else []


@pytest.fixture(scope="module")
def source(request):
    """The project whose results lie on the disk but for one stage's."""
    return request.getfixturevalue("all_finished" if ALL else "finished")


@pytest.fixture(scope="module")
def small(new_project):
    """A project whose results/ is a small disk of its own."""
    made = new_project("small disk")
    (made / "results").mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", made / "results"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here, which takes root: {done.stderr.strip()}")
    yield made
    subprocess.run(["umount", "--lazy", made / "results"], check=True)


def fill(folder):
    """A file that takes all space."""
    with open(folder / ".ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def prepare(small, source, outputs):
    """Everything that is finished but these outputs."""
    for path in (small / "results").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    restore(small, source, copy=shutil.copy2)
    remove(small, outputs)


def place(stage, outputs):
    """Pattern of the place that an error names: an output, or what the job keeps beside it meanwhile (`.{output}.….state/…`)."""
    paths = [rf"{re.escape(str(Path(name).parent))}/\.?{re.escape(Path(name).name)}(\.\S+)?" for name in outputs]
    return rf"{re.escape(stage)}: ({'|'.join(paths)}): "


@pytest.mark.parametrize("stage", OUTPUTS if ALL else QUICK)
def test_a_full_disk_stops_the_run_and_nothing_is_left(small, source, stage, record_property):
    outputs = OUTPUTS[stage]
    prepare(small, source, outputs)
    fill(small / "results")
    output, status = small.snakemake("--cores", 1, "--", *outputs, check=False)
    assert status and "the file must fit on a writable disk; expected free space and permission to write, got " in output
    assert re.search(place(stage, outputs), output)
    assert not any(os.path.lexists(small / name) for name in outputs) and is_clean(small)
    (small / "results/.ballast").unlink()
    resume(small, *outputs)
    assert contents(small.folder, outputs) == contents(source.folder, outputs) and is_clean(small)
    record_property("detected", 1)
    record_property("recovered", 1)


@pytest.mark.parametrize("stage", READ_ONLY)
def test_a_read_only_disk_stops_the_run(small, source, stage, record_property):
    outputs = OUTPUTS[stage]
    prepare(small, source, outputs)
    subprocess.run(["mount", "-o", "remount,ro", small / "results"], check=True)
    try:
        output, status = small.snakemake("--cores", 1, "--", *outputs, check=False)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small / "results"], check=True)
    assert status and "Read-only file system" in output and any(name in output for name in outputs)
    resume(small, *outputs)
    assert contents(small.folder, outputs) == contents(source.folder, outputs) and is_clean(small)
    record_property("detected", 1)
    record_property("recovered", 1)
