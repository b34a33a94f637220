"""A trained task labels whole corpora: with labels, a folder without any, after a kill, and what is refused."""

import json
import shutil

import pandas
import pytest

from inference import Recognizer
from inference.schemas import PREDICTIONS_OF_CORPUS
from storage import tables
from tests.workflow.faults.runs import resume, start
from ulm.schemas import SAMPLES

FOLDER = "results/SCR/predictions"
SCORES = f"{FOLDER}/commands.json"
UNLABELLED = f"{FOLDER}/unlabelled.parquet"


@pytest.fixture(scope="module")
def labelled(pristine, new_project):
    """A copy of the project that has run, in which a task has labelled its own corpus, and a folder with a bad file."""
    made = new_project("labelled")
    pristine.copy_results_to(made)
    audio = made / "results/corpora/commands/speech/audio"
    clips = sorted(path for path in audio.rglob("*") if path.suffix in (".flac", ".wav"))
    (made / "unlabelled/more").mkdir(parents=True)
    for clip in clips[:20]:
        shutil.copy(clip, made / "unlabelled" / clip.name)
    for clip in clips[20:40]:
        shutil.copy(clip, made / "unlabelled/more" / f"b_{clip.name}")
    (made / "unlabelled/broken.wav").write_bytes(b"no audio")
    made.snakemake("--cores", 2, "--", SCORES, UNLABELLED)
    return made


def rows_of(project, path):
    return tables.read(project / path, PREDICTIONS_OF_CORPUS).to_pylist()


def test_the_predictions_are_those_of_the_samples(labelled):
    """Batches differ from those of the stage `sample`, so the last bits of the scores may."""
    seed = json.loads((labelled / SCORES).read_text())["seed"]
    samples = tables.read(labelled / "results/SCR/samples.parquet", SAMPLES).to_pandas()
    samples = samples[samples.seed == seed]
    predicted = {row["utterance_id"]: row for row in rows_of(labelled, f"{FOLDER}/commands.parquet")}
    assert len(predicted) == 80 and len(samples) == 32
    for row in samples.itertuples():
        found = predicted[row.utterance_id]
        assert found["split"] == row.split and found["labels"] == list(row.labels)
        assert found["predicted_labels"] == list(row.predicted_labels) and found["score"] == pytest.approx(row.score, abs=1e-3)


def test_the_score_of_the_test_split_is_that_of_the_task(labelled):
    scores = json.loads((labelled / SCORES).read_text())
    acc = json.loads((labelled / "results/SCR/acc.json").read_text())
    assert (scores["num_rows"], scores["num_unusable"], scores["is_training_corpus"]) == (80, 0, True)
    assert scores["splits"]["test"]["metrics"]["accuracy"]["value"] == acc["value_by_seed"][str(scores["seed"])]
    assert {split: part["num_rows"] for split, part in scores["splits"].items()} == dict(train=48, dev=16, test=16)
    assert "results/SCR/bundle/SHA256SUMS" in scores["provenance"]["inputs"]


def test_a_folder_without_labels_and_with_a_bad_file(labelled):
    rows = rows_of(labelled, UNLABELLED)
    assert len(rows) == 41 and all(row["labels"] is row["split"] is None for row in rows)
    bad = [row for row in rows if row["reason"]]
    assert [(row["path"], row["reason"], row["predicted_labels"]) for row in bad] == [("broken.wav", "not_audio", None)]
    good = [row for row in rows if not row["reason"]]
    assert all(row["n_best_labels"][0] == row["predicted_labels"][0] and 0 < row["probability"] <= 1 for row in good)
    frame = pandas.read_parquet(labelled / UNLABELLED)
    assert list(frame.columns) == PREDICTIONS_OF_CORPUS.names and frame.seconds.notna().sum() == 40


def test_python_answers_alike(labelled):
    recognizer = Recognizer.load(labelled / "results/SCR/bundle", device="cpu")
    rows = [row for row in rows_of(labelled, UNLABELLED) if not row["reason"]][:5]
    for row, answer in zip(rows, recognizer([str(labelled / "unlabelled" / row["path"]) for row in rows])):
        assert list(answer.labels) == row["predicted_labels"] and answer.score == pytest.approx(row["score"], abs=1e-3)


def test_a_second_run_has_nothing_to_do_and_the_tables_are_verified(labelled):
    output, _ = labelled.snakemake("--cores", 2, "--", SCORES, UNLABELLED)
    assert "Nothing to be done" in output
    labelled.snakemake("--cores", 1, "verify", check=False)  # tests of the copied run may have left other results wrong
    verdicts = [line.split()[:2] for line in (labelled / "logs/verify/verify.log").read_text().splitlines()]
    mine = [verdict for verdict, path, *_ in verdicts if "/predictions/" in path or path.endswith("files.parquet")]
    assert len(mine) > 5 and set(mine) == {"right"}


def test_a_killed_run_goes_on_after_its_last_part_and_gives_the_same_table(labelled):
    expected = tables.read(labelled / UNLABELLED, PREDICTIONS_OF_CORPUS)
    shutil.rmtree(labelled / f"{FOLDER}/unlabelled")
    (labelled / UNLABELLED).unlink()
    run = start(labelled, UNLABELLED, module="inference.label_files", file="part000003.parquet", moment="renamed", scope="group")
    assert run.wait() == -9, (labelled / "killed.txt").read_text()
    parts = (labelled / f"{FOLDER}/unlabelled").glob(".*.state/part*.parquet")
    assert {"part000002.parquet", "part000003.parquet"} <= {part.name for part in parts}
    assert "4 of 5 parts were finished before" in resume(labelled, UNLABELLED)
    assert tables.read(labelled / UNLABELLED, PREDICTIONS_OF_CORPUS).equals(expected)
    assert not list((labelled / f"{FOLDER}/unlabelled").glob(".*"))


@pytest.mark.parametrize("target, message", [
    (f"{FOLDER}/unlabelled.json", "a corpus on which SCR is scored must have the label columns of the task; expected one of"),
    (f"{FOLDER}/imported.parquet", "SCR labels what it was trained on; expected audio, got units of the codebook imported_9"),
    (f"{FOLDER}/comands.parquet", 'did you mean "commands"?'),
    ("results/corpora/unlabelled/manifest.parquet", "cannot be trained on, only labelled by a trained task"),
])  # fmt: skip
def test_what_cannot_be_made_says_why(labelled, target, message):
    shutil.rmtree(labelled / "unlabelled/more", ignore_errors=True)
    output, status = labelled.snakemake("--cores", 1, "--", target, check=False)
    assert status != 0 and message in output, output


def test_superb_tasks_label_corpora_too(labelled):
    jobs = labelled.planned("--", "results/superb/KS_weighted_sum/predictions/commands.json")
    assert jobs["superb_bundle"] == jobs["collect_predictions"] == jobs["score_predictions"] == 1
    assert jobs["label_files"] == 2


def test_a_new_bundle_labels_again_and_a_comment_does_not(labelled):
    assert labelled.planned("--", SCORES) == {}
    labelled.edit("inference/labelling.py", '"""Label many', '# A comment.\n"""Label many')
    assert labelled.planned("--", SCORES) == {}
    jobs = labelled.planned("--forcerun", "bundle", "--", SCORES)
    assert jobs == dict(bundle=1, label_files=2, collect_predictions=1, score_predictions=1)
