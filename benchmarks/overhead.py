"""Overhead of the demo: the time for planning, jobs and imports. The stages import their modules and then do nothing.

The peer is the same workflow with a `run:` block in each rule in place of scripts/stage.py. Each of its jobs is another process
of Snakemake, which reads all rules again.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.side_by_side import compare, seconds
from workflow.scripts.stage_code import PACKAGES

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config", "workflow", *PACKAGES, "benchmarks", "environment.yaml")
TARGET = "results/SCR/acc.json"
# Lines of the project that the benchmark replaces in its copy.
INPUT_PATHS = "[path for value in inputs.values() for path in ([value] if isinstance(value, str) else value)]"
STAGE_CALL = 'getattr(module, params.stage.split(".")[-1])(**inputs, **outputs, **settings)'
IMPORT = "from workflow.scripts.rows import"
SCRIPT = re.compile(r"    script:\n        \"../scripts/stage.py\"\n")


def copy_project(folder):
    """Copy the project without its results to a folder."""
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "results"))
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, folder / part)


def use_idle_stages(folder):
    """Change scripts/stage.py of a copy: it runs idle stages, and computes no checksums of their inputs, which are empty."""
    script = folder / "workflow/scripts/stage.py"
    _replace(script, INPUT_PATHS, "[]")
    _replace(script, STAGE_CALL, "importlib.import_module('benchmarks.peers.idle').idle(params.stage, outputs.values())")


def use_run_blocks(folder):
    """Give each rule of a copy a `run:` block with an idle stage."""
    _replace(folder / "workflow/rules/common.smk", IMPORT, f"from benchmarks.peers.idle import idle\n{IMPORT}")
    for file in (folder / "workflow/rules").glob("*.smk"):
        file.write_text(SCRIPT.sub("    run:\n        idle(params.stage, list(output))\n", file.read_text()))


def snakemake(change, *arguments):
    """Run Snakemake in a changed copy of the project, and return its output.

    Args:
        change: function that takes the folder of the copy and changes it.
        arguments: arguments of the command line.

    Raises:
        RuntimeError: if Snakemake fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        change(Path(folder))
        command = [sys.executable, "-m", "snakemake", "--cores", str(len(os.sched_getaffinity(0))), *arguments, TARGET]
        process = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if process.returncode:
            raise RuntimeError(process.stdout + process.stderr)
        return process.stdout + process.stderr


def main():
    """Run the benchmark."""
    planning_seconds, plan = seconds(lambda: snakemake(use_idle_stages, "--dry-run"))
    compare(
        "overhead",
        lambda: snakemake(use_idle_stages),
        lambda: snakemake(use_run_blocks),
        what="planning, jobs and imports of the demo without its work (aim: at most 60 s); peer: the same with `run:` blocks",
        unit="s",
        runs=1,
        warm_up=0,
        jobs=int(re.search(r"^total +(\d+)$", plan, re.MULTILINE)[1]),
        planning_seconds=planning_seconds,
        aim_seconds=60,
    )


def _replace(path, old, new):
    """Replace a text in a file. Raises `ValueError` if the file does not contain it."""
    text = path.read_text()
    if old not in text:
        raise ValueError(f"{path}: the benchmark must find the line that it replaces; expected {old!r}, got no such line")
    path.write_text(text.replace(old, new))


if __name__ == "__main__":
    main()
