"""Which figures the report of a task has, and that each has its caption."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
FIGURES = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
CAPTIONS = re.findall(r'caption="\.\./report/(\w+\.rst)"', FIGURES)
AUDIO = {"results/corpora/commands/plots/durations.svg", "results/encoders/melhubert_commands/plots/training.svg"}


def planned(folder, task, *arguments):
    """Figures and pages that a dry run would make for a task, in an empty folder with this project's config."""
    shutil.copytree(ROOT / "config", folder / "config")
    (folder / "units_gsc_hubert100").mkdir()
    for name in ("speech", "speech_unlabelled"):
        (folder / name).mkdir()
        (folder / name / "metadata.csv").touch()
    for split in ("train", "valid", "test"):
        (folder / "units_gsc_hubert100" / f"{split}.parquet").touch()
    settings = [f'tasks=["{task}"]', f'paths={{"data": "{folder}"}}']
    command = [sys.executable, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "-d", folder, *arguments, "--config", *settings]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return set(re.findall(r"output: (results/\S+\.(?:svg|html))", run.stdout))


def common(task, ulm, units):
    folders = dict.fromkeys(["classes", "training", "confusion"], f"results/{task}")
    folders |= dict.fromkeys(["unit_usage", "unit_lengths"], f"results/units/{units}")
    files = {f"{folder}/plots/{name}.svg" for name, folder in folders.items()}
    return files | {
        f"results/ulm/{ulm}/plots/training.svg",
        *(f"results/comparisons/{task}/{page}.html" for page in ("summary", "units")),
    }


@pytest.mark.slow
def test_a_task_with_audio_has_all_figures(tmp_path):
    units = "melhubert_commands_100/commands"
    expected = common("SCR", "commands", units) | AUDIO | {f"results/units/{units}/plots/utterances.svg"}
    assert planned(tmp_path, "SCR") == expected


@pytest.mark.slow
def test_a_task_that_starts_at_units_has_none_of_audio(tmp_path):
    assert planned(tmp_path, "SCR_gsc_units") == common("SCR_gsc_units", "gsc_units", "hubert100_published/gsc_units")


@pytest.mark.slow
def test_a_task_on_published_models_has_none_of_their_training(tmp_path):
    units = "hubert100/asc"
    figures = {"results/corpora/asc/plots/durations.svg", f"results/units/{units}/plots/utterances.svg"}
    expected = common("SCR_asc_hubert100", "hubert100_gslm", units) | figures
    assert planned(tmp_path, "SCR_asc_hubert100") == expected - {"results/ulm/hubert100_gslm/plots/training.svg"}


@pytest.mark.slow
def test_an_encoder_that_is_made_of_another_one_shows_how_it_was_trained(tmp_path):
    experiment = ("--configfile", "config/experiments/encoders/config.yaml")
    assert "results/encoders/distilalhubert_mixed/plots/training.svg" in planned(tmp_path, "SCR_asc_distilalhubert", *experiment)


def test_each_figure_has_its_own_caption_and_no_caption_is_left_over():
    assert len(CAPTIONS) == len(set(CAPTIONS)) == FIGURES.count("=report(")
    assert {*CAPTIONS, "workflow.rst", "metadata.yaml"} == {path.name for path in (ROOT / "workflow/report").iterdir()}


@pytest.mark.slow
def test_the_start_page_links_the_categories_that_exist_and_explains_each():
    """Rendered as Snakemake does it: with jinja, then with docutils. Snakemake adds a link target for each category."""
    from docutils.core import publish_parts
    from jinja2 import Environment

    def start_page(names):
        targets = "".join(f"\n.. _{name}: https://example.org/{name}" for name in names)
        values = dict(categories=[SimpleNamespace(name=name) for name in names])
        values |= dict(snakemake=SimpleNamespace(config=dict(tasks=["SCR", "DSR"])))
        text = (ROOT / "workflow/report/workflow.rst").read_text() + "\n" + targets
        text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(text).render(values)
        html = publish_parts(text, writer="html", settings_overrides=dict(halt_level=2, report_level=2))["html_body"]
        assert '<h1 class="title">Results of SCR, DSR</h1>' in html
        return re.findall(r'<li><a .*?href="https://example.org/.+?">(\w+)</a>: \w', html)

    categories = re.findall(r'category="(\w+)"', FIGURES)
    assert set(start_page(categories)) == set(categories) and start_page(categories)[0] == "Results"
    assert start_page(["Units", "Results"]) == ["Results", "Units"]


@pytest.mark.parametrize("name", CAPTIONS)
def test_captions_are_valid_and_short(name):
    from docutils.core import publish_string

    text = re.sub(r"{{.*?}}", "x", (ROOT / "workflow/report" / name).read_text())
    publish_string(text, writer="null", settings_overrides=dict(halt_level=2, report_level=2))
    assert len(re.findall(r"\.(?=\s|$)", text)) >= 2 and len(text.split()) <= 120
