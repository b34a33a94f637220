"""Does a bundle give each test row of a finished task the label and the score of `samples.parquet`, however it is used?

    python -m benchmarks.same_labels SCR

Four ways are compared: `Recognizer` with batches of 1 and of 32, the terminal, and the Snakemake target. `make page-test` does the
same with the page. `Recognizer` gets the utterance_id of each row, which decides the random variants of test-time augmentation; the
terminal goes by the names of the files, so that its variants, and with them its scores, are others. The record is `benchmarks/results/same_labels_{task}.json`; its table is printed.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.side_by_side import RESULTS, load, machine, versions
from inference import Recognizer
from inference.page_examples import root_of
from inference.schemas import PREDICTIONS_OF_CORPUS
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.files import read_json, write_json
from ulm.schemas import SAMPLES

BATCH_SIZES = 1, 32
LINE = "{way:28} {equal_labels} of {rows} labels equal; scores: {equal_scores} in every bit, the others within {largest_difference:.1e}"
FILES_PER_COMMAND = 100  # so that no command line is too long


def make(target):
    """Make a target of Snakemake, if it is not there yet."""
    subprocess.run([sys.executable, "-m", "snakemake", "--quiet", "all", "--cores", "all", "--", target], check=True)


def test_rows(folder):
    """Return the test rows of a finished task for the best seed of its bundle.

    Args:
        folder: results of the task, such as `results/SCR`. The task must begin at audio.

    Returns:
        path of the recording → (predicted label, score), and path → utterance_id.

    Raises:
        ValueError: if a test row is a part of a file: the terminal labels whole files.
    """
    description = read_json(folder / "bundle/bundle.json")
    manifest = folder.parent / "corpora" / description["corpus"] / "manifest.parquet"
    rows = {row["utterance_id"]: row for row in tables.read(manifest, MANIFEST).to_pylist() if row["split"] == "test"}
    paths = {name: os.path.join(root_of(manifest), row["path"]) for name, row in rows.items()}
    if len(set(paths.values())) < len(paths):
        raise ValueError(f"{manifest}: several test rows are parts of one file; this comparison needs whole files")
    samples = tables.read(folder / "samples.parquet", SAMPLES).to_pylist()
    answers = {
        paths[row["utterance_id"]]: (" ".join(row["predicted_labels"]), row["score"])
        for row in samples
        if row["split"] == "test" and row["seed"] == description["best_seed"]
    }
    return answers, {path: name for name, path in paths.items()}


def answers_of_recognizer(folder, paths, names, batch_size):
    """Return path → (label, score) from `Recognizer`; `names`: path → utterance_id."""
    recognizer = Recognizer.load(folder / "bundle", device="cpu")
    results = recognizer.stream(paths, batch_size=batch_size, num_best=0, names=[names[path] for path in paths])
    return {path: (result.label, result.score) for path, result in zip(paths, results)}


def answers_of_terminal(folder, paths):
    """Return path → (label, score) from `python -m inference label --jsonl`."""
    answers = {}
    for start in range(0, len(paths), FILES_PER_COMMAND):
        files = paths[start : start + FILES_PER_COMMAND]
        command = [sys.executable, "-m", "inference", "label", folder / "bundle", *files, "--jsonl", "--device", "cpu"]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        for path, line in zip(files, printed.splitlines(), strict=True):
            answer = json.loads(line)
            answers[path] = " ".join(answer["labels"]), answer["score"]
    return answers


def answers_of_target(folder, corpus, root):
    """Return path → (label, score) from the Snakemake target for the task's own corpus."""
    table = folder / "predictions" / f"{corpus}.parquet"
    make(table)
    rows = tables.read(table, PREDICTIONS_OF_CORPUS).to_pylist()
    return {
        os.path.join(root, row["path"]): (" ".join(row["predicted_labels"]), row["score"])
        for row in rows
        if row["split"] == "test"
    }


def agreement(wanted, got):
    """Return how many labels and scores of two dicts path → (label, score) are equal, and the largest difference of scores."""
    differences = [abs(got[path][1] - score) for path, (_, score) in wanted.items()]
    return dict(
        rows=len(wanted),
        equal_labels=sum(got[path][0] == label for path, (label, _) in wanted.items()),
        equal_scores=differences.count(0),
        largest_difference=max(differences),
    )


def main(task):
    """Compare all ways for a task, print a table and write the record."""
    folder = Path("results", task)
    make(folder / "bundle")
    wanted, names = test_rows(folder)
    paths = list(wanted)
    corpus = read_json(folder / "bundle/bundle.json")["corpus"]
    load_before = load()
    ways = {f"Recognizer, batches of {size}": answers_of_recognizer(folder, paths, names, size) for size in BATCH_SIZES}
    ways["terminal"] = answers_of_terminal(folder, paths)
    ways["target"] = answers_of_target(folder, corpus, root_of(f"results/corpora/{corpus}/manifest.parquet"))
    records = [dict(way=way) | agreement(wanted, got) for way, got in ways.items()]
    for record in records:
        print(LINE.format(**record))
    record = dict(task=task, ways=records, versions=versions(), machine=machine() | dict(load_before=load_before))
    write_json(RESULTS / f"same_labels_{task}.json", record)
    if any(record["equal_labels"] < record["rows"] for record in records):
        raise SystemExit(f"{task}: labels differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
