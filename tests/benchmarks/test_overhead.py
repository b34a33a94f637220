"""The benchmark of overhead changes copies of the project, which still plan the demo."""

import re

import pytest

from benchmarks import overhead


@pytest.mark.slow
def test_with_run_blocks_the_demo_can_be_planned():
    plan = overhead.snakemake(overhead.use_run_blocks, "--dry-run")
    assert int(re.search(r"^total +(\d+)$", plan, re.MULTILINE)[1]) > 20


def test_idle_stages_replace_the_call_of_the_stage(tmp_path):
    overhead.copy_project(tmp_path)
    overhead.use_idle_stages(tmp_path)
    code = (tmp_path / "workflow/scripts/stage.py").read_text()
    compile(code, "stage.py", "exec")
    assert "idle(params.stage" in code and overhead.STAGE_CALL not in code and overhead.INPUT_PATHS not in code
