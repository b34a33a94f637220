"""Create the dataset of a SUPERB task: its utterances, with labels in the form that its head learns.

Copies at other speeds are left out: SUPERB has none, and the encoder may have been pre-trained on them.
"""

from collections import Counter
from math import ceil
from pathlib import Path

import numpy as np

from evaluation.metrics import WORD_SEPARATOR
from speech2unit.corpora.activity import NUM_SPEAKERS, segments_of
from speech2unit.corpora.schemas import MANIFEST
from storage import tables
from storage.errors import data_error, nearest
from superb.labels import SEQUENCES
from superb.schemas import CLASSES, DATASET

LETTERS = "letters"  # the lexicon in which each word is spelled with its own letters


def read_lexicon(path):
    """Return a dict from each word to its symbols, from a file with lines such as `ZERO Z IH1 R OW0`.

    If a word has several lines, the first one counts.

    Args:
        path: path of the lexicon.

    Raises:
        ValueError: if the file does not exist.
    """
    if not Path(path).exists():
        raise data_error(
            path,
            "the lexicon of a task must exist",
            expected="a file with lines `word symbol symbol …`",
            got="no file",
            remedy="put it there, or correct 'lexicon' in config/superb_tasks.tsv",
        )
    lexicon = {}
    for line in Path(path).read_text("utf-8-sig").splitlines():
        if line.strip():
            word, *symbols = line.split()
            lexicon.setdefault(word, symbols)
    return lexicon


def spell_words(words, lexicon, separator, place):
    """Return the symbols of words, such as T H R E E | S E V E N for 3 7.

    Args:
        words: list of words.
        lexicon: dict from each word to its symbols, or `LETTERS`.
        separator: list of symbols to put between words.
        place: where the words come from, for the error message.

    Raises:
        ValueError: if the lexicon does not have a word.
    """
    spelled = []
    for word in words:
        symbols = list(word.upper()) if lexicon == LETTERS else lexicon.get(word)
        if not symbols:
            raise data_error(
                place,
                "the lexicon of a task must have every word",
                expected=f"one of {sorted(lexicon)[:20]}",
                got=f"'{word}'",
                remedy=f"{nearest(word, lexicon)}add it to the lexicon that config/superb_tasks.tsv names",
            )
        spelled += [*separator, *symbols] if spelled else symbols
    return spelled


def task_labels(row, kind, positions, lexicon):
    """Return the labels of a manifest row in the form of `DATASET`.

    Args:
        row: row of the manifest.
        kind: kind of the task, such as `KS`.
        positions: for tasks with classes, the positions of the labels that the task uses.
        lexicon: dict from each word to its symbols, or `LETTERS`; empty if the labels are symbols already.
    """
    if kind == "SD":
        return segments_of(row["labels"])
    if kind not in SEQUENCES:
        return [row["labels"][position] for position in positions]
    if not lexicon:
        return row["labels"]
    return spell_words(row["labels"], lexicon, [WORD_SEPARATOR] if kind == "ASR" else [], row["utterance_id"])


def class_rows(all_labels, used_labels, kind):
    """Return the rows of `CLASSES`.

    Args:
        all_labels: labels of each training row, a list of lists; they determine the classes.
        used_labels: labels of the training rows that are used, in which the classes are counted.
        kind: kind of the task, such as `KS`.
    """
    if kind == "SD":
        speakers = {str(number) for number in range(1, NUM_SPEAKERS + 1)}
        classes_by_slot = [speakers]
        counts_by_slot = [Counter(segment.split()[0] for labels in used_labels for segment in labels)]
    elif kind in SEQUENCES:
        classes_by_slot = [{symbol for labels in all_labels for symbol in labels}]
        counts_by_slot = [Counter(symbol for labels in used_labels for symbol in labels)]
    else:
        classes_by_slot = [set(column) for column in zip(*all_labels)]
        counts_by_slot = [Counter(column) for column in zip(*used_labels)]
    return [
        dict(slot=slot, index=index, label=label, num_rows=counts[label])
        for slot, (classes, counts) in enumerate(zip(classes_by_slot, counts_by_slot))
        for index, label in enumerate(sorted(classes))
    ]


def sample_rows(labels, fraction, by_class, seed):
    """Return the positions, in rising order, of a random fraction of the rows. Their number is rounded up.

    Args:
        labels: labels of each row, a list of lists.
        fraction: fraction of the rows, from 0 to 1.
        by_class: whether to draw this fraction from every class, so that no class is lost.
        seed: seed of the random choice.
    """
    groups = {}
    for position in np.random.default_rng(seed).permutation(len(labels)):
        group = tuple(labels[position]) if by_class else None
        groups.setdefault(group, []).append(int(position))
    return sorted(position for positions in groups.values() for position in positions[: ceil(fraction * len(positions))])


def create_superb_dataset(*, manifest, dataset, classes, kind, labels, corpus_labels, lexicon, fraction, seed, source=None):
    """Stage: write the rows of a task and the classes of its training split.

    Args:
        manifest: manifest of the corpus, a table of `MANIFEST`.
        dataset: table of `DATASET` to write, the rows of the task.
        classes: table of `CLASSES` to write, the classes, symbols or speakers that the head predicts.
        kind: kind of the task, such as `KS`.
        labels: label columns that the task uses.
        corpus_labels: all label columns of the corpus.
        lexicon: path of the lexicon, or `LETTERS`; empty if the labels are symbols already.
        fraction: fraction of the training rows to use, from 0 to 1.
        seed: seed of the random choice of these rows.
        source: the lexicon as an input of the rule, so that a change of it reruns the stage; not read here.

    Raises:
        ValueError: if the lexicon does not exist or lacks a word.
    """
    words = read_lexicon(lexicon) if lexicon not in ("", LETTERS) else lexicon
    positions = [corpus_labels.index(name) for name in labels]
    rows = []
    for row in tables.read(manifest, MANIFEST).to_pylist():
        if row["speed"] == 1:
            cells = {name: row[name] for name in DATASET.names}
            rows.append(cells | dict(labels=task_labels(row, kind, positions, words)))
    train_rows = [row for row in rows if row["split"] == "train"]
    evaluation_rows = [row for row in rows if row["split"] != "train"]
    all_labels = [row["labels"] for row in train_rows]
    by_class = kind not in (*SEQUENCES, "SD")
    used_rows = [train_rows[position] for position in sample_rows(all_labels, fraction, by_class, seed)]
    tables.write(classes, class_rows(all_labels, [row["labels"] for row in used_rows], kind), CLASSES)
    tables.write(dataset, sorted(used_rows + evaluation_rows, key=lambda row: row["utterance_id"]), DATASET)
    print(f"{len(used_rows)} of {len(train_rows)} training rows, {len(evaluation_rows)} dev and test rows")
