"""What planning, jobs and imports cost in the demo: its whole DAG with stages that import what they import and do nothing.

The peer is the same DAG with a `run:` block in each rule instead of the shim: a job is then another Snakemake, which reads
all rules again.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.side_by_side import compare, seconds

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config", "workflow", "speech2unit", "verbalizer", "ulm", "superb", "benchmarks", "environment.yaml")
TARGET = "results/SCR/acc.json"
INPUTS = "[path for value in inputs.values() for path in ([value] if isinstance(value, str) else value)]"
CALL = 'getattr(module, params.stage.split(".")[-1])(**inputs, **outputs, **settings)'
SCRIPT = re.compile(r"    script:\n        \"../scripts/stage.py\"\n")


def copy_project(folder):
    """The project without results in `folder`."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, folder / part)


def idle_stages(folder):
    """The shim as it is, but for the call of the stage and the checksums of its inputs, which are empty here."""
    shim = folder / "workflow/scripts/stage.py"
    _replace(shim, INPUTS, "[]")
    _replace(shim, CALL, "importlib.import_module('benchmarks.peers.idle').idle(params.stage, outputs.values())")


def run_blocks(folder):
    """A `run:` block in each rule, with the same idle stages."""
    common = folder / "workflow/rules/common.smk"
    _replace(common, "from rows import", "from benchmarks.peers.idle import idle\nfrom rows import")
    for file in (folder / "workflow/rules").glob("*.smk"):
        file.write_text(SCRIPT.sub("    run:\n        idle(params.stage, list(output))\n", file.read_text()))


def snakemake(change, *arguments):
    """Output of Snakemake in a fresh copy of the project that `change` has changed."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        change(Path(folder))
        call = [sys.executable, "-m", "snakemake", "--cores", str(len(os.sched_getaffinity(0))), *arguments, TARGET]
        done = subprocess.run(call, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout + done.stderr


def main():
    planning, plan = seconds(lambda: snakemake(idle_stages, "--dry-run"))
    num_jobs = int(re.search(r"^total +(\d+)$", plan, re.MULTILINE)[1])
    compare(
        "overhead",
        lambda: snakemake(idle_stages),
        lambda: snakemake(run_blocks),
        what="planning, jobs and imports of the demo, without its work (aim: at most 60 s); peer: the same with `run:` blocks",
        unit="s",
        runs=1,
        warm_up=0,
        jobs=num_jobs,
        planning_seconds=planning,
        aim_seconds=60,
    )


def _replace(path, old, new):
    text = path.read_text()
    if old not in text:
        raise ValueError(
            f"{path}: the benchmark changes this file; expected {old!r} in it, got none; mend benchmarks/overhead.py"
        )
    path.write_text(text.replace(old, new))


if __name__ == "__main__":
    main()
