"""`kill -9` of every rule's job at three moments, and of whole runs at any moment: one command resumes to the same results."""

import os
import queue
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workflow.faults.rules import ELSEWHERE, OF_A_TASK, OTHERS, OUTPUTS, TARGETS
from tests.workflow.faults.runs import ALL, ROOT, contents, is_clean, remove, restore, resume, start, wait_for_orphans
from workflow.scripts.rule_bodies import rule_bodies

MOMENTS, SCOPES = ("start", "writing", "renamed"), ("group", "main")
CASES = [(stage, moment, scope) for stage in OF_A_TASK for moment in MOMENTS for scope in SCOPES]
OTHER_CASES = [(stage, moment, SCOPES[(i + j) % 2]) for i, stage in enumerate(OTHERS) for j, moment in enumerate(MOMENTS)]
QUICK = [("ulm.score", "writing", "group"), ("verbalizer.apply_verbalizer", "start", "main")]
TRAINED = ("speech2unit.recipes.pretrain_melhubert", "ulm.pretrain_ulm", "ulm.tune_prompt")
UPDATES = {"speech2unit.recipes.pretrain_melhubert": 6, "ulm.pretrain_ulm": 20, "ulm.tune_prompt": 40}  # two seeds
WORKERS = 2
RULES = [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]


@pytest.fixture(scope="module")
def expected(finished):
    return contents(finished.folder)


@pytest.fixture(scope="module")
def in_parallel(new_project):
    """A function (work, cases) → results: each case in one of a few projects, two at a time."""
    free = queue.Queue()
    for number in range(WORKERS):
        free.put(new_project(f"killed{number}"))

    def work_off(work, cases):
        def one(case):
            project = free.get()
            try:
                return work(project, case)
            finally:
                free.put(project)

        with ThreadPoolExecutor(WORKERS) as pool:
            return list(pool.map(one, cases))

    return work_off


def killed(project, finished, expected, case):
    """What is wrong after a job was killed and the run resumed; empty if nothing is."""
    stage, moment, scope = case
    outputs = OUTPUTS[stage]
    restore(project, finished)
    remove(project, outputs)
    run = start(project, *outputs, module=stage, file=outputs[0], moment=moment, scope=scope)
    if run.wait() != -9:
        return f"{case}: not killed\n{(project / 'killed.txt').read_text()}"
    try:
        resume(project, *outputs)
    except AssertionError as error:
        return f"{case}: not resumed: {error}"
    finally:
        wait_for_orphans(run.pid)
    if contents(project.folder, outputs) != {
        name: digest for name, digest in expected.items() if name.startswith(tuple(outputs))
    }:
        return f"{case}: other results"
    return "" if is_clean(project) else f"{case}: something was left behind"


def check(cases, problems, record_property):
    wrong = [problem for problem in problems if problem]
    record_property("injected", len(cases))
    record_property("recovered", len(cases) - len(wrong))
    assert not wrong, "\n".join(wrong)


def test_a_job_that_is_killed_is_made_again(finished, expected, in_parallel, record_property):
    cases = CASES if ALL else QUICK
    check(cases, in_parallel(lambda project, case: killed(project, finished, expected, case), cases), record_property)


@pytest.mark.skipif(not ALL, reason="only in make faults")
def test_a_job_of_another_rule_that_is_killed_is_made_again(all_finished, in_parallel, record_property):
    expected = contents(all_finished.folder)
    problems = in_parallel(lambda project, case: killed(project, all_finished, expected, case), OTHER_CASES)
    check(OTHER_CASES, problems, record_property)


@pytest.mark.skipif(not ALL, reason="only in make faults")
def test_training_that_is_killed_ends_as_if_it_were_not(finished, expected, in_parallel, record_property):
    rng = random.Random(1)
    cases = [(stage, rng.randint(1, UPDATES[stage]), "group") for stage in [*TRAINED] * 4][:10]
    check(cases, in_parallel(lambda project, case: killed(project, finished, expected, case), cases), record_property)


@pytest.mark.skipif(not ALL, reason="only in make faults")
def test_runs_that_are_killed_at_any_moment_end_alike(expected, in_parallel, record_property):
    """Each run is killed again and again: the whole group, or Snakemake alone."""
    rng = random.Random(2)
    cases = [[(rng.uniform(2, 25), rng.choice(SCOPES)) for _ in range(5)] for _ in range(4)]

    def work(project, kills):
        remove(project, [name for name in ("results", ".snakemake") if (project / name).exists()])
        sessions = []
        for seconds, scope in kills:
            project.snakemake("--unlock")
            run = start(project, *TARGETS)
            sessions.append(run.pid)
            timer = threading.Timer(seconds, kill, (run, scope))
            timer.start()
            run.wait()
            timer.cancel()
            time.sleep(0.5)
        resume(project, *TARGETS)
        for session in sessions:
            wait_for_orphans(session)
        return "" if contents(project.folder) == expected and is_clean(project) else f"{kills}: other results"

    check([kill for kills in cases for kill in kills], in_parallel(work, cases), record_property)


def kill(run, scope):
    if run.poll() is None:
        (os.killpg if scope == "group" else os.kill)(run.pid, signal.SIGKILL)


def test_every_rule_is_among_them():
    assert {stage.split(".")[-1] for stage in OUTPUTS} | {*ELSEWHERE} == set(rule_bodies(*RULES))
