"""What the adapter of a corpus says about its recordings, checked. Nothing is decoded."""

import importlib
import inspect
import pkgutil
from collections import defaultdict

from speech2unit.corpora import adapters
from speech2unit.corpora.file_trees import said
from speech2unit.corpora.splits import SEQUENCE
from storage.errors import data_error, nearest, one_of
from storage.text import first_three, normalize, normalize_name

# Cells of a row of config/corpora.tsv that the pipeline uses. Only the adapter uses the others.
PIPELINE_CELLS = {"corpus", "adapter", "root", "address", "speeds", "label_columns"}
WHOLE_FILE = dict(start_seconds=0.0, end_seconds=None)


def read_corpus(corpus):
    """Return the rows that the corpus's adapter reads for training, with splits and labels.

    Args:
        corpus: row of config/corpora.tsv.

    Raises:
        ValueError: if there is no such adapter, if a cell is filled that it does not use, or if the corpus has another layout.
    """
    adapter = _adapter(corpus)
    with said(corpus["root"]):
        rows = [WHOLE_FILE | normalized(row) for row in _call(adapter.read_rows, corpus)]
    names = label_names(corpus)
    for row in rows:
        _check_label_columns(row["labels"], names, corpus)
    return rows


def list_corpus(corpus):
    """Yield the rows that the corpus's adapter reads for labelling: `split` and `labels` are None where the corpus has none.

    An adapter whose corpora may lack them has a function `list_rows`; of the others it is `read_rows`.

    Args:
        corpus: row of config/corpora.tsv.

    Raises:
        ValueError: as `read_corpus`.
    """
    adapter = _adapter(corpus)
    names = label_names(corpus)
    with said(corpus["root"]):
        for row in _call(getattr(adapter, "list_rows", adapter.read_rows), corpus):
            row = normalized(row)
            if not names:
                row["labels"] = None
            elif row["labels"] is not None:
                _check_label_columns(row["labels"], names, corpus)
            yield WHOLE_FILE | row


def normalized(row):
    """Return a row of an adapter with normalized names; its path stays as the file is named. Raises `ValueError` if a label is empty."""
    names = dict(utterance_id=normalize(row["utterance_id"]))
    if "speaker" in row:
        names["speaker"] = normalize_name(row["speaker"] or "") or None
    if row["labels"] is not None:
        names["labels"] = [normalize_name(label) for label in row["labels"]]
        if not all(names["labels"]):
            raise data_error(
                ascii(row["path"])[1:-1],
                "a label must have a name",
                expected="letters",
                got=f"{row['labels']}",
                remedy="rename the folder, or correct the cell",
            )
    return row | names


def label_names(corpus):
    """Return the names in the cell `label_columns` of a corpus."""
    return [name.strip() for name in corpus["label_columns"].split(",") if name.strip()]


def _adapter(corpus):
    """Return the module of the adapter of a corpus. Raises `ValueError` if there is none, or if it does not use a filled cell."""
    names = [module.name for module in pkgutil.iter_modules(adapters.__path__)]
    if corpus["adapter"] not in names:
        raise data_error(
            "config/corpora.tsv",
            "`adapter` must be a file of speech2unit/corpora/adapters",
            expected=one_of(corpus["adapter"], names),
            got=f"'{corpus['adapter']}'",
            remedy=f"{nearest(corpus['adapter'], names)}correct the row",
        )
    adapter = importlib.import_module(f"{adapters.__name__}.{corpus['adapter']}")
    used = list(inspect.signature(adapter.read_rows).parameters)
    unused = [name for name, cell in corpus.items() if cell and name not in {*used, *PIPELINE_CELLS}]
    if unused:
        raise data_error(
            "config/corpora.tsv",
            f"adapter '{corpus['adapter']}' must use every filled cell",
            expected=f"only {used}",
            got=f"{unused}",
            remedy="empty these cells or choose another adapter",
        )
    return adapter


def _call(function, corpus):
    """Call a function of an adapter with the cells that it takes."""
    return function(**{name: corpus[name] for name in inspect.signature(function).parameters})


def _check_label_columns(labels, names, corpus):
    """Check the labels of a row. Raises `ValueError` if their number is not that of the columns and they are not a sequence."""
    if names and not corpus["label_columns"].endswith(SEQUENCE) and len(labels) != len(names):
        raise data_error(
            "config/corpora.tsv",
            "`label_columns` names every label",
            expected=f"{len(labels)} names, such as for {labels}",
            got=f"{names}",
            remedy="correct the cell; a sequence is one column whose name ends with []",
        )


def check_ids(rows, place):
    """Check the rows of a corpus. Raises `ValueError` if two rows have the same utterance_id."""
    paths = defaultdict(list)
    for row in rows:
        paths[row["utterance_id"]].append(row["path"])
    repeated = {name: paths_of_name for name, paths_of_name in paths.items() if len(paths_of_name) > 1}
    if repeated:
        raise data_error(
            place,
            "an utterance_id (the path without its extension, with - for /) must be unique",
            expected="one row for each",
            got=f"{len(repeated)} ids of several rows: {first_three(repeated)}",
            remedy="remove rows or rename files",
        )
