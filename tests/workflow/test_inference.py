"""Bundles of tasks that have run: a `Recognizer` says of every test recording what the task's own tables say."""

import json
import shutil
import subprocess
import sys

import pandas
import pytest

from inference import Recognizer
from inference.bundle_files import read_bundle
from tests.workflow.bundle_checks import check_superb_bundle, recordings

TASKS = ("SCR", "SCR_pieces", "DSR_beam")
SUPERB_TASK = "ASR_full"  # test_superb.py has one with classes
CLOSE = 1e-4  # nats; padding changes the last bits of a score
# What labelling must do without: everything but torch, torchaudio, numpy, safetensors, soundfile and soxr.
BLOCKED = "pandas pyarrow sklearn scipy faiss joblib snakemake fairseq sentencepiece transformers matplotlib yaml jsonschema threadpoolctl"
ALONE = f"""
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED.split()!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Block())
from inference import Recognizer
print(*Recognizer.load(sys.argv[1])(sys.argv[2]).labels)
"""


@pytest.fixture(scope="module")
def bundles(pristine, new_project):
    """A copy of the project that has run, in which the tasks have bundles."""
    made = new_project("bundles")
    pristine.copy_results_to(made)
    targets = [f"results/{task}/bundle" for task in TASKS] + [f"results/superb/{SUPERB_TASK}/bundle"]
    made.snakemake("--cores", 2, "--", *targets)
    return made


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_size", [1, 32])
def test_every_seed_answers_as_samples_parquet_says(bundles, task, batch_size):
    samples = pandas.read_parquet(bundles / f"results/{task}/samples.parquet")
    description, _ = read_bundle(bundles / f"results/{task}/bundle")
    for seed, rows in samples.groupby("seed"):
        recognizer = Recognizer.load(bundles / f"results/{task}/bundle", seed=seed)
        paths = recordings(bundles, description["corpus"], rows.utterance_id)
        answers = list(recognizer.stream(paths, batch_size, names=rows.utterance_id))
        assert [list(answer.labels) for answer in answers] == [list(labels) for labels in rows.predicted_labels]
        assert [answer.score for answer in answers] == pytest.approx(list(rows.score), abs=CLOSE)
        assert [list(answer.free_units) for answer in answers] == [list(units) for units in rows.free_units]
        free = [None if answer.free_labels is None else list(answer.free_labels) for answer in answers]
        assert free == [None if labels is None else list(labels) for labels in rows.free_labels]


def test_a_tuned_encoder_answers_with_the_sequences_of_predictions_parquet(bundles):
    check_superb_bundle(bundles, SUPERB_TASK)


def test_the_units_are_those_of_the_tables(bundles):
    table = pandas.read_parquet(bundles / "results/units/melhubert_16/commands/reduced_units.parquet").query("split != 'train'")
    recognizer = Recognizer.load(bundles / "results/SCR/bundle")
    answers = recognizer([*recordings(bundles, "commands", table.utterance_id)])
    assert [answer.units.tolist() for answer in answers] == [list(units) for units in table.units]
    assert [answer.durations.tolist() for answer in answers] == [list(durations) for durations in table.durations]
    assert all(answer.starts[0] == 0 and len(answer.starts) == len(answer.units) for answer in answers)


def test_a_bundle_works_elsewhere_with_few_packages(bundles, tmp_path):
    shutil.copytree(bundles / "results/SCR/bundle", tmp_path / "moved")
    samples = pandas.read_parquet(bundles / "results/SCR/samples.parquet")
    seed = json.loads((tmp_path / "moved/bundle.json").read_text())["best_seed"]
    row = samples[samples.seed == seed].iloc[0]
    [recording] = recordings(bundles, "commands", [row.utterance_id])
    command = [sys.executable, "-c", ALONE, tmp_path / "moved", recording]
    done = subprocess.run(command, cwd=bundles.folder, capture_output=True, text=True)
    assert done.stdout.split() == list(row.predicted_labels), done.stderr


def test_verify_finds_a_changed_file_of_a_bundle(bundles):
    path = bundles / "results/DSR_beam/bundle/task.json"
    path.write_text(path.read_text().replace('"max_tokens"', '"max_token"'))
    output, status = bundles.snakemake("--cores", 1, "verify", check=False)
    assert status and "results/DSR_beam/bundle/SHA256SUMS: 1 changed or missing files, such as task.json" in output
    with pytest.raises(ValueError, match="task.json is changed; copy the bundle again"):
        Recognizer.load(bundles / "results/DSR_beam/bundle")
