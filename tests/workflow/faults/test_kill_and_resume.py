"""`kill -9` of every rule's job at three moments, and of whole runs at any moment: one command resumes to the same results."""

import os
import queue
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workflow.faults.runs import ALL, contents, is_clean, remove, restore, resume, start, wait_for_orphans

U, L, T = "results/units/melhubert_16", "results/ulm/tiny", "results/SCR"
OUTPUTS = {  # package.rule → what it makes; the run is killed at the first of them
    "speech2unit.synthesize_commands": ["results/corpora/commands/speech/audio", "results/corpora/commands/speech/metadata.csv"],
    "speech2unit.make_manifest": ["results/corpora/commands/manifest.parquet", "results/corpora/commands/rejected.parquet"],
    "speech2unit.concatenate_clips": ["results/corpora/commands/strings/audio", "results/corpora/commands/strings/metadata.csv"],
    "speech2unit.fit_log_mel": [f"results/encoders/log_mel/{name}" for name in ("model.safetensors", "config.json")],
    "speech2unit.extract_features": ["results/features/melhubert/layer1/commands/2-of-4.parquet"],
    "speech2unit.fit_codebook": [f"{U}/centroids.parquet", f"{U}/projection.parquet"],
    "speech2unit.assign_units": [f"{U}/commands/units.parquet"],
    "speech2unit.reduce_units": [f"{U}/commands/reduced_units.parquet"],
    "speech2unit.pretrain_melhubert": [
        f"results/encoders/melhubert/{name}" for name in ("model.safetensors", "config.json", "training.parquet")
    ],
    "ulm.build_vocabulary": [f"{L}/vocabulary.parquet"],
    "ulm.pretrain_ulm": [
        f"{L}/{n}" for n in ("model.safetensors", "config.json", "task_prompts.safetensors", "training.parquet")
    ],
    "verbalizer.create_lm_dataset": [f"{T}/lm_dataset.parquet"],
    "verbalizer.fit_verbalizer": [f"{T}/verbalizer.parquet"],
    "verbalizer.apply_verbalizer": [f"{T}/verbalized.parquet"],
    "ulm.binarize": [f"{T}/binarized", f"{T}/binarized.parquet"],
    "ulm.tune_prompt": [f"{T}/prompt.safetensors", f"{T}/training.parquet"],
    "ulm.sample": [f"{T}/samples.parquet"],
    "ulm.fit_baselines": [f"{T}/baselines.parquet"],
    "ulm.score": [f"{T}/acc.json", f"{T}/confusion.parquet"],
    "ulm.summarize": ["results/summary.parquet"],
    "ulm.render_summary": ["results/summary.html"],
    "speech2unit.plot_unit_usage": [f"{U}/commands/plots/unit_usage.svg"],
}
TARGETS = (f"{T}/acc.json", "results/summary.html", *OUTPUTS["speech2unit.concatenate_clips"][1:])
TARGETS += tuple(OUTPUTS["speech2unit.plot_unit_usage"])
MOMENTS, SCOPES = ("start", "writing", "renamed"), ("group", "main")
CASES = [(stage, moment, scope) for stage in OUTPUTS for moment in MOMENTS for scope in SCOPES]
QUICK = [("ulm.score", "writing", "group"), ("verbalizer.apply_verbalizer", "start", "main")]
TRAINED = ("speech2unit.pretrain_melhubert", "ulm.pretrain_ulm", "ulm.tune_prompt")
UPDATES = {"speech2unit.pretrain_melhubert": 6, "ulm.pretrain_ulm": 20, "ulm.tune_prompt": 40}  # two seeds
WORKERS = 2


@pytest.fixture(scope="module")
def finished(project):
    """The finished project, with what the summary does not need."""
    project.snakemake("--cores", 2, "--", *TARGETS)
    return project


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


def test_every_rule_is_among_them(new_project):
    """Those that the tiny DAG runs for a task. Others, which start through the same shim and write through the same functions,
    are those of published models, of encoders made of others, of SUPERB tasks and of corpora that are put together.
    """
    jobs = new_project("rules").planned("results/SCR/acc.json", "results/summary.html")
    assert set(jobs) - {"all"} <= {stage.split(".")[1] for stage in OUTPUTS}
