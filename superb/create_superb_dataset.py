"""The rows of a SUPERB task: which utterances, and what its head has to say of each.

Copies at other speeds are left out: SUPERB has none, and the pre-trained encoder has heard them already.
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
from superb.schemas import CLASSES, DATASET

LETTERS = "letters"  # instead of a lexicon: each word is spelled with its own letters
SEQUENCES = ("ASR", "PR", "SF")  # kinds whose labels are a sequence of symbols


def read_lexicon(path):
    """`ZERO Z IH1 R OW0` → {"ZERO": ["Z", "IH1", "R", "OW0"]}; of a word that stands twice, the first counts."""
    if not Path(path).exists():
        raise data_error(
            path,
            "the lexicon of a task must exist",
            expected="lines `word symbol symbol …`",
            got="no file",
            remedy="put it there, or correct 'lexicon' in config/superb_tasks.tsv",
        )
    lexicon = {}
    for word, *symbols in (line.split() for line in Path(path).read_text("utf-8-sig").splitlines() if line.strip()):
        lexicon.setdefault(word, symbols)
    return lexicon


def spelled(words, lexicon, separator, place):
    """Words → their symbols in a row, `separator` (a list) between words: 3 7 → T H R E E | S E V E N.

    lexicon: a dict, or `LETTERS`. Raises `ValueError` for a word that the lexicon lacks.
    """
    found = []
    for word in words:
        symbols = list(word.upper()) if lexicon == LETTERS else lexicon.get(word)
        if not symbols:
            raise data_error(
                place,
                "the lexicon of a task has every word",
                expected=f"one of {sorted(lexicon)[:20]}",
                got=f"'{word}'",
                remedy=f"{nearest(word, lexicon)}add it to the lexicon that config/superb_tasks.tsv names",
            )
        found += [*separator, *symbols] if found else symbols
    return found


def task_labels(row, kind, positions, lexicon):
    """A manifest row's labels as the head is to say them; see `DATASET`."""
    if kind == "SD":
        return segments_of(row["labels"])
    if kind not in SEQUENCES:
        return [row["labels"][i] for i in positions]
    if not lexicon:
        return row["labels"]
    return spelled(row["labels"], lexicon, [WORD_SEPARATOR] if kind == "ASR" else [], row["utterance_id"])


def class_rows(train, used, kind):
    """Rows of `CLASSES`: the classes of the whole training split `train` (lists of labels), counted in those `used`."""
    if kind == "SD":
        train, used = ([[label.split()[0] for label in labels] for labels in part] for part in (train, used))
        known, counts = [{str(i + 1) for i in range(NUM_SPEAKERS)}], [Counter(x for labels in used for x in labels)]
    elif kind in SEQUENCES:
        known, counts = [{x for labels in train for x in labels}], [Counter(x for labels in used for x in labels)]
    else:
        known, counts = [set(column) for column in zip(*train)], [Counter(column) for column in zip(*used)]
    return [
        dict(slot=slot, index=index, label=label, num_rows=counts[slot][label])
        for slot, labels in enumerate(known)
        for index, label in enumerate(sorted(labels))
    ]


def drawn(labels, fraction, by_class, seed):
    """Positions, rising, of `fraction` of the rows, rounded up; `by_class`: of every class, so that none is lost."""
    order, groups = np.random.default_rng(seed).permutation(len(labels)), {}
    for i in order:
        groups.setdefault(tuple(labels[i]) if by_class else None, []).append(int(i))
    return sorted(i for rows in groups.values() for i in rows[: ceil(fraction * len(rows))])


def create_superb_dataset(*, manifest, dataset, classes, kind, labels, corpus_labels, lexicon, fraction, seed, source=None):
    """Stage: `dataset` (see `DATASET`), of whose training rows `fraction` is left, and the `classes` of the training split.

    labels: the task's label columns, corpus_labels: those of the manifest; lexicon: a path, `LETTERS`, or empty where labels
    are symbols already; source: only orders the DAG.
    """
    rows = [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1]
    words = read_lexicon(lexicon) if lexicon not in ("", LETTERS) else lexicon
    positions = [corpus_labels.index(name) for name in labels]
    rows = [{name: row[name] for name in DATASET.names} | dict(labels=task_labels(row, kind, positions, words)) for row in rows]
    train, rest = ([row for row in rows if (row["split"] == "train") == of_train] for of_train in (True, False))
    everything = [row["labels"] for row in train]
    used = [train[i] for i in drawn(everything, fraction, kind not in (*SEQUENCES, "SD"), seed)]
    tables.write(classes, class_rows(everything, [row["labels"] for row in used], kind), CLASSES)
    tables.write(dataset, sorted(used + rest, key=lambda row: row["utterance_id"]), DATASET)
    print(f"{len(used)} of {len(train)} training rows, {len(rest)} of dev and test")
