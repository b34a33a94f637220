"""The standard usage of the Snakemake workflow catalogue: a module out of a git repository, with a config folder of the user's own."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

MANIFEST = "results/corpora/mine/manifest.parquet"
# What `snakedeploy deploy-workflow` writes. A repository on the disk stands for github(), which needs the net.
SNAKEFILE = """
from snakemake.sourcecache import LocalGitFile

configfile: "config/config.yaml"

module speech_units:
    snakefile:
        LocalGitFile("{repository}", "workflow/Snakefile", ref="HEAD")
    config:
        config

use rule * from speech_units
"""


def git(folder, *arguments):
    user = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def deployed(new_project, tmp_path_factory):
    """A folder with such a Snakefile, config/ and a corpus `mine`."""
    repository = new_project("repository").folder
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "all files")
    folder = tmp_path_factory.mktemp("deployed")
    shutil.copytree(repository / "config", folder / "config")
    (folder / "workflow").mkdir()
    (folder / "workflow/Snakefile").write_text(SNAKEFILE.format(repository=repository))
    rng = np.random.default_rng(0)
    for split in ("train", "dev", "test"):
        for label in ("no", "yes"):
            (folder / "mine" / split / label).mkdir(parents=True)
            soundfile.write(folder / "mine" / split / label / f"{split}_1.wav", rng.normal(size=4000) * 0.1, 16_000)
    header = (folder / "config/corpora.tsv").read_text().splitlines()[0].split("\t")
    row = dict(corpus="mine", adapter="folders", root="mine", label_columns="label")
    with (folder / "config/corpora.tsv").open("a") as table:
        table.write("\t".join(row.get(name, "") for name in header) + "\n")
    return folder


def snakemake(folder, *arguments):
    """Output and status of `snakemake arguments` in a folder."""
    call = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    done = subprocess.run(call, cwd=folder, env=os.environ | dict(OMP_NUM_THREADS="1"), capture_output=True, text=True)
    return done.stdout + done.stderr, done.returncode


def test_a_module_from_git_runs_with_the_users_config(deployed):
    output, status = snakemake(deployed, MANIFEST)
    assert status == 0, output
    assert f"{MANIFEST}: 6 clips, 3 speakers, 2 labels" in output
    output, status = snakemake(deployed, MANIFEST, "--dry-run")
    assert status == 0 and "Nothing to be done" in output


@pytest.mark.parametrize("text, expected", [
    ("tasks: [SCR]\n", "rule score:"), ("fit_baselines: {max_ngrams: 3}\n", 'did you mean "max_ngram"?'),
])  # fmt: skip
def test_what_the_users_config_leaves_out_is_taken_from_the_repository_and_the_rest_is_checked(deployed, text, expected):
    (deployed / "config/config.yaml").write_text(text)
    shutil.rmtree(deployed / "config/presets", ignore_errors=True)
    output, status = snakemake(deployed, "--dry-run", "results/SCR/acc.json")
    assert expected in output and (status == 0) == expected.startswith("rule"), output
