"""The whole tiny DAG as SLURM jobs, undisturbed and with faults; `make slurm-test` runs this file, some ten minutes."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.cluster.conftest import wait_until
from tests.workflow.conftest import fork_server, new_project, pristine, project  # noqa: F401  (fixtures)

TARGET = "results/SCR/acc.json"
QUICK = (  # for one machine without accounting, and to look at the queue more often
    "--profile", "workflow/profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(cluster, new_project):  # noqa: F811
    """A project in which all has run on the cluster, and what Snakemake said."""
    made = new_project("on slurm")
    made.output, _ = made.snakemake(*QUICK, "--", TARGET)
    return made


@pytest.fixture(scope="module")
def report(run):
    return results(run)


def results(project):  # noqa: F811
    """A report without what differs from run to run: seconds and memory."""
    found = json.loads((project / TARGET).read_text())
    return {name: value for name, value in found.items() if name not in ("usage", "provenance")}


def again(run, *arguments, **how):
    """`sample` anew, by one job."""
    return run.snakemake(*QUICK, "--forcerun", "sample", *arguments, "--", TARGET, **how)


def meanwhile(act):
    """Run `act` beside what follows."""
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def check_whole(run, report):
    """The same result as undisturbed, nothing half written, and nothing that a later run would do."""
    assert results(run) == report
    assert not list((run / "results").rglob(".*.tmp"))
    output, _ = run.snakemake("--cores", 1, "--", TARGET)
    assert "Nothing to be done" in output


def test_the_result_is_that_of_one_machine(run, request):
    check_whole(run, results(request.getfixturevalue("project")))  # not made where this is skipped


def test_small_rules_run_where_snakemake_runs_and_shards_as_an_array(run):
    assert "Array job" in run.output or "array job" in run.output
    for rule in ("reduce_units", "build_vocabulary", "create_lm_dataset", "fit_verbalizer", "apply_verbalizer", "score"):
        assert f"localrule {rule}:" in run.output
    for rule in ("synthesize_commands", "make_manifest", "fit_codebook", "pretrain_ulm", "tune_prompt", "sample"):
        assert f"\nrule {rule}:" in run.output


def test_a_job_that_was_cancelled_is_tried_again(run, report, cluster):
    killer = meanwhile(lambda: cluster.ask("scancel", cluster.wait_for("sample")))
    output, _ = again(run)
    killer.join()
    assert "status is: 'CANCELLED'" in output and "Trying to restart job" in output
    check_whole(run, report)


def test_a_job_over_its_memory_is_tried_again_with_more(run, report):
    run.edit("workflow/rules/ulm.smk", "mem_mb=memory(3000)", "mem_mb=memory(350)")
    output, status = again(run, "--retries", 0, check=False)
    assert status != 0 and "mem_mb=350" in output and "Error in rule sample" in output
    logs = [path.read_text() for path in (run / ".snakemake/slurm_logs/rule_sample").rglob("*.log")]
    assert any("exceeded memory limit" in text for text in logs) and "slurm_logs/rule_sample" in output
    output, _ = again(run)
    assert "Trying to restart job" in output and "mem_mb=700" in output
    run.edit("workflow/rules/ulm.smk", "mem_mb=memory(350)", "mem_mb=memory(3000)")
    check_whole(run, report)


def test_a_node_that_dies_costs_its_job_a_further_attempt(run, report, cluster):
    def node_dies():
        job = cluster.wait_for("sample")
        cluster.kill_node()
        try:
            wait_until(lambda: cluster.state(job) == "NODE_FAIL", "SLURM misses the node", seconds=60)
        finally:  # else the run would wait for it without an end
            cluster.start_node()

    breakdown = meanwhile(node_dies)
    output, _ = again(run)
    breakdown.join()
    assert "status is: 'NODE_FAIL'" in output and "Trying to restart job" in output
    check_whole(run, report)


def test_jobs_that_outlive_snakemake_spoil_nothing(run, report, cluster):
    call = [
        sys.executable,
        "-m",
        "snakemake",
        "--configfile",
        "tests/config/tiny.yaml",
        *QUICK,
        "--forcerun",
        "sample",
        "--",
        TARGET,
    ]
    main = subprocess.Popen(call, cwd=run.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    orphan = cluster.wait_for("sample")
    os.killpg(main.pid, signal.SIGKILL)
    main.wait()
    run.snakemake("--unlock", *QUICK)
    again(run)
    assert cluster.state(orphan) in ("COMPLETED", "")
    check_whole(run, report)
