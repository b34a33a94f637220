"""The DAG: every task can be planned, planning is quick, rules are wiring and nothing else."""

import csv
import re
import resource
from pathlib import Path

import pytest

from workflow.scripts.rule_bodies import rule_bodies
from workflow.scripts.stage_code import PACKAGES

ROOT = Path(__file__).parents[2]
RULES = rule_bodies(*sorted((ROOT / "workflow/rules").glob("*.smk")))
with open(ROOT / "config/tasks.tsv") as table:
    TASKS = {row["task"]: row["corpus"] for row in csv.DictReader(table, delimiter="\t")}


@pytest.fixture(scope="module")
def planner(new_project):
    """A project beside which `shared` lies as it does beside ours."""
    made = new_project("planner")
    if (ROOT / "../shared").exists():
        (made / "../shared").symlink_to((ROOT / "../shared").resolve())
    return made


@pytest.fixture(scope="module")
def tasks(planner):
    """Tasks that can be planned: those on corpora with a table need it, those on published corpora do without."""
    with open(ROOT / "config/corpora.tsv") as table:
        roots = {row["corpus"]: row["root"] for row in csv.DictReader(table, delimiter="\t")}
    here = (planner / "../shared/data").exists()
    return [task for task, corpus in TASKS.items() if here or "{data}" not in roots[corpus]]


@pytest.fixture(scope="module")
def superb_tasks(planner):
    """SUPERB tasks that can be planned."""
    with open(ROOT / "config/superb_tasks.tsv") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    names = [f"{row['superb_task']}_{tuning}" for row in rows for tuning in row["tuning"].split(",")]
    if (planner / "../shared/data").exists():
        return names
    return [task for task in names if "asc" not in task and "fsdd" not in task and "GID" not in task]


@pytest.fixture(scope="module")
def jobs_of_all_tasks(planner, tasks, superb_tasks):
    """Rule → number of jobs of one dry run of all tasks and all SUPERB tasks."""
    files = [f"results/{task}/acc.json" for task in tasks] + [f"results/superb/{task}/score.json" for task in superb_tasks]
    return planner.planned(*files, configs=())


def test_every_task_can_be_planned(jobs_of_all_tasks, tasks):
    assert jobs_of_all_tasks["score"] == jobs_of_all_tasks["sample"] == len(tasks) >= 20
    assert set(jobs_of_all_tasks) <= set(RULES)


def test_a_second_stage_follows_from_the_first_and_a_published_encoder_from_its_files(planner):
    encoders = "melhubert_librispeech_2/model.safetensors", "melhubert_published/published/melhubert.ckpt"
    jobs = planner.planned(*(f"results/encoders/{name}" for name in encoders), configs=())
    assert jobs["pretrain_melhubert"] == jobs["fit_codebook"] == 2 and jobs["fit_log_mel"] == 1
    assert jobs["convert_encoder"] == jobs["export_melhubert"] == 1 and jobs["download_checkpoint"] == 2


def test_every_superb_task_can_be_planned(jobs_of_all_tasks, superb_tasks):
    counts = [jobs_of_all_tasks[rule] for rule in ("tune_encoder", "predict", "score_superb")]
    assert counts == [len(superb_tasks)] * 3 and len(superb_tasks) >= 40


def command_of(experiment):
    """Arguments of the command in the README of an experiment, without the number of cores."""
    readme = (ROOT / f"config/experiments/{experiment}/README.md").read_text()
    (command,) = re.findall(r"^```\nsnakemake --cores 2 (.*)\n```$", readme, re.MULTILINE)
    assert command in (ROOT / f"config/experiments/{experiment}/config.yaml").read_text()
    return command.split()


SHRINKING = dict(prune_rows=1, factorize_layers=1, distil_layers=1)
EXPERIMENTS = dict(  # name → numbers of jobs that its command plans
    encoders=dict(score=16),
    prompting=dict(score=14),
    sequences=dict(score=4),
    sentences=dict(score=4, synthesize_intents=1),
    published_units=dict(score=4),
    superb=dict(score_superb=31),
    whisper=dict(score=19, score_superb=25, convert_encoder=1) | SHRINKING,
)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_experiments_plan_all_their_tasks(planner, experiment):
    if not (planner / "../shared/data").exists():
        pytest.skip("plans with tables of real speech")
    jobs = planner.planned(*command_of(experiment), configs=())
    assert {rule: jobs[rule] for rule in EXPERIMENTS[experiment]} == EXPERIMENTS[experiment]


def test_experiments_are_all_planned():
    assert {path.name for path in (ROOT / "config/experiments").iterdir()} == EXPERIMENTS.keys()


def test_an_encoder_is_compared_by_its_first_task(planner):
    """Of tasks that differ in verbalizer, length or way of tuning on the units of one encoder, the first one counts."""
    if not (planner / "../shared/data").exists():
        pytest.skip("plans with tables of real speech")
    files = ("config/config.yaml", "config/experiments/prompting/config.yaml")
    jobs = planner.planned(
        "results/comparisons/log_mel_mixed/encoders_summary.parquet", "--config", "encoders=[log_mel_mixed]", configs=files
    )
    assert jobs["score"] == jobs["sample"] == 1


def test_the_default_target_ends_with_the_summary(planner):
    jobs = planner.planned(configs=())
    assert jobs["summarize"] == jobs["all"] == 1


def test_tasks_that_differ_in_sampling_and_metric_share_a_prompt(planner):
    output, _ = planner.snakemake("--dry-run", "--", "results/DSR/acc.json", "results/DSR_beam/acc.json")
    assert "results/DSR/prompt.safetensors" in output and "results/DSR_beam/prompt.safetensors" not in output
    assert [len(re.findall(f"^rule {name}:$", output, re.MULTILINE)) for name in ("tune_prompt", "sample", "score")] == [1, 2, 2]


def test_100_000_utterances_are_planned_in_10_seconds_and_300_jobs(planner):
    folder = planner / "large"
    folder.mkdir()
    rows = [f"{i}.flac,{('train', 'dev', 'test')[i % 3]},s{i % 3000},{i % 12}" for i in range(100_000)]
    (folder / "metadata.csv").write_text("\n".join(["path,split,speaker,label", *rows]) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = planner.planned("results/SCR_large/acc.json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 20 <= sum(jobs.values()) <= 300
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime <= 10  # of computing, however busy the machine


def test_metadata_that_is_gone_is_an_error_even_beside_a_manifest(planner):
    (planner / "large/metadata.csv").unlink(missing_ok=True)
    manifest = planner / "results/corpora/large/manifest.parquet"
    manifest.parent.mkdir(parents=True)
    manifest.touch()
    output, status = planner.snakemake("--dry-run", "results/SCR_large/acc.json", check=False)
    assert (
        status != 0
        and "row 'large': the metadata file of a corpus must exist; expected large/metadata.csv, got no such file; correct"
        in output
    )


def test_a_corpus_that_is_not_there_is_missed_before_anything_is_downloaded(planner):
    output, status = planner.snakemake("--cores", 1, "--", "results/IC/acc.json", configs=(), check=False)
    assert (
        status != 0
        and "row 'fluent': the root of a corpus must exist; expected ../corpora/fluent_speech_commands_dataset, got no such folder; get"
        in output
    )
    assert "download_checkpoint" not in output


def test_a_mistake_in_the_config_stops_before_anything_runs(planner):
    (planner / "wrong.yaml").write_text("fit_baselines:\n  max_ngrams: 3\n")
    output, status = planner.snakemake("--dry-run", configs=("tests/config/tiny.yaml", "wrong.yaml"), check=False)
    assert status != 0
    assert "config.fit_baselines.max_ngrams: the key must be known; " in output and 'did you mean "max_ngram"?' in output
    assert "Job stats" not in output


def test_an_unknown_task_names_the_nearest(planner):
    (planner / "task.yaml").write_text("tasks: [SCRR]\n")
    output, status = planner.snakemake("--dry-run", configs=("tests/config/tiny.yaml", "task.yaml"), check=False)
    assert status != 0 and 'did you mean "SCR"?' in output


def test_a_path_that_names_no_row_says_which_row_is_meant(planner):
    output, status = planner.snakemake("--dry-run", "--", "results/SRC/acc.json", check=False)
    assert (
        status != 0
        and "results/SRC/acc.json: results are named after rows of tests/config/tasks.tsv; expected one of ['SCR'" in output
    )
    assert 'did you mean "SCR"?' in output


def test_a_target_that_no_rule_makes_names_the_nearest_file(planner):
    output, status = planner.snakemake("--dry-run", "--", "results/SCR/accc.json", check=False)
    assert (
        status != 0 and "results/SCR/accc.json: no rule makes this file; expected in results/SCR/ one of ['acc.json', " in output
    )
    assert 'did you mean "acc.json"? correct the path' in output and "if you use input functions" not in output


def test_snakemakes_lint_is_content(planner):
    output, _ = planner.snakemake("--lint", configs=())
    assert "Congratulations, your workflow is in a good condition!" in output


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_wiring(name):
    body = RULES[name]
    sections = re.findall(r"^    (\w+):", body, re.MULTILINE)
    assert {"log", "conda", "params", "resources", "script"} <= set(sections)
    assert "output" in sections or name == "verify", "only what looks at everything makes nothing"
    assert not {"run", "shell"} & set(sections)
    assert '        "../scripts/stage.py"\n' in body and '        "../../environment.yaml"\n' in body
    assert "lambda" not in body
    assert re.search(rf'"logs/{name}/', body), "logs are named after the rule"
    module = re.search(r'\*\*stage\("((\w+)[\w.]*)\.(\w+)"', body)
    assert module and module[2] in PACKAGES and module[3] == name, "the rule, the module and the function have one name"
    assert ROOT.joinpath(*module[1].split("."), f"{name}.py").exists()
    for section in {"input", "output"} & set(sections):
        lines = re.search(rf"^    {section}:\n(.*?)(?=^    \w|\Z)", body, re.MULTILINE | re.DOTALL)
        assert not lines or all(re.match(r"        (\w+=|\)|    )", line) for line in lines[1].splitlines()), "unnamed files"
    settings = [line for line in body.splitlines() if line.startswith("        ")]  # without what snakefmt puts on its own line
    assert len(settings) <= 20


@pytest.mark.parametrize("name", RULES)
def test_threads_of_the_stage_are_those_of_the_rule(name):
    threads = re.search(r"^    threads: (\d+)", RULES[name], re.MULTILINE)
    compute = re.search(r"num_threads=(\d+)", RULES[name])
    assert int(compute[1] if compute else 1) <= int(threads[1] if threads else 1)
