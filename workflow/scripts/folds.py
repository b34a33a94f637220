"""Folds of a corpus: rows that depend on a corpus with `folds` stand for one row per fold.

The corpus `mine` with 5 folds stays, with all its clips in train. `mine_fold1` to `mine_fold5` are new corpora, each with another
fold as its test split. A model that is trained on `mine`, or on a model that is, stands for `MODEL_fold1` to `MODEL_fold5`, so that
nothing that is tested on a fold has heard it. A task on `mine` stands for `TASK_fold1` to `TASK_fold5`, and for `TASK`, which puts
their results together.
"""

from storage.errors import data_error
from workflow.scripts.row_checks import REFERENCES

MODELS = ("encoders", "codebooks", "ulms")  # tables of what is trained on corpora
RECORDINGS = ("adapter", "root", "metadata", "where")  # columns that say which recordings a corpus has


def expand_folds(rows):
    """Replace the tables in `rows` by tables with a row per fold.

    Every row gets the cell `fold`, the number of its fold or an empty text. Corpora get `fold_of`, the corpus that is divided into
    folds. Tasks get `fold_tasks`, the list of the tasks whose results they put together. Such a task has the cells of its first
    fold.

    Args:
        rows: dict from the name of each table to its `Table`.

    Raises:
        ValueError: if folds cannot be made for a row.
    """
    num_folds = _num_folds(rows)
    _check_corpora(rows["corpora"])
    _check_tasks(rows, num_folds)
    _check_models(rows)
    for table in ("corpora", *MODELS, "tasks"):
        rows[table] = rows[table].expand(_variants(table, num_folds))


def _num_folds(rows):
    """Return (table, name) → number of folds, for the rows that have folds."""
    num_folds = {("corpora", name): int(row["folds"]) for name, row in rows["corpora"].items() if row["folds"]}
    num_before = None
    while num_before != len(num_folds):  # an encoder may depend on a codebook, and that on another encoder
        num_before = len(num_folds)
        for table in (*MODELS, "tasks"):
            for name, row in rows[table].items():
                references = _references(table, row) if table in MODELS else [("corpora", row["corpus"])]
                numbers = {num_folds[reference] for reference in references if reference in num_folds}
                if len(numbers) > 1:
                    raise data_error(
                        rows[table].place(name),
                        "corpora that are used together must have the same number of folds",
                        expected="one number in the column 'folds' of the corpora",
                        got=", ".join(map(str, sorted(numbers))),
                        remedy="change 'folds' of one of the corpora, or leave a corpus out",
                    )
                if numbers:
                    num_folds[table, name] = numbers.pop()
    return num_folds


def _references(table, row):
    """Return the pairs (table, name) that the cells of a row refer to."""
    pairs = []
    for source, column, target in REFERENCES:
        if source == table:
            pairs += [(target, name) for name in (row[column] if isinstance(row[column], list) else [row[column]])]
    return pairs


def _variants(table, num_folds):
    """Return a function that yields the rows that a row of a table stands for, see `expand_folds`."""

    def variants(name, row):
        number = num_folds.get((table, name), 0)
        names = [f"{name}_fold{fold}" for fold in range(1, number + 1)]
        rows = [_row_of_fold(table, row, fold, num_folds) for fold in range(1, number + 1)]
        if table == "corpora":
            yield name, row | dict(fold="", fold_of="")
            rows = [fold_row | dict(fold_of=name) for fold_row in rows]
        elif table == "tasks":
            yield name, (rows[0] if rows else row) | dict(fold="", fold_tasks=names)
            rows = [fold_row | dict(fold_tasks=[]) for fold_row in rows]
        elif not rows:
            yield name, row | dict(fold="")
        yield from zip(names, rows)

    return variants


def _row_of_fold(table, row, fold, num_folds):
    """Return the row of one fold, in which the names of other rows with folds are those of the same fold."""

    def name_in_fold(target, name):
        return f"{name}_fold{fold}" if (target, name) in num_folds else name

    changed = dict(fold=str(fold))
    for source, column, target in REFERENCES:
        if source == table and isinstance(row[column], list):
            changed[column] = [name_in_fold(target, name) for name in row[column]]
        elif source == table:
            changed[column] = name_in_fold(target, row[column])
    return row | changed


def _check_corpora(corpora):
    """Check that corpora with folds have audio and no column of splits."""
    for name, row in corpora.items():
        if row["folds"] and row["adapter"] == "units":
            raise data_error(
                corpora.place(name),
                "folds are for corpora of audio",
                expected="an empty cell 'folds' with the adapter units",
                got=row["folds"],
                remedy="empty the cell",
            )
        if row["folds"] and row["split_column"]:
            raise data_error(
                corpora.place(name),
                "folds take the place of splits",
                expected="an empty cell 'split_column'",
                got=f"'{row['split_column']}'",
                remedy="empty 'split_column', or 'folds'",
            )


def _check_tasks(rows, num_folds):
    """Check that what has folds is used with a corpus that has folds, and not by SUPERB tasks."""
    for table, columns in dict(tasks=["ulm"], superb_tasks=["corpus", "encoder"]).items():
        targets = {column: target for source, column, target in REFERENCES if source == table}
        for name, row in rows[table].items():
            for column in columns:
                if (targets[column], row[column]) in num_folds and (table, name) not in num_folds:
                    is_task = table == "tasks"
                    raise data_error(
                        rows[table].place(name),
                        "what is trained on folds can be used with the corpus of these folds"
                        if is_task
                        else "SUPERB tasks have no folds",
                        expected=f"a '{column}' that does not depend on a corpus with 'folds'",
                        got=f"'{row[column]}'",
                        remedy=f"add a row for the corpus without folds, and name it, or what is trained on it, in '{column}'",
                    )


def _check_models(rows):
    """Check that no task on a corpus with folds uses a model of another corpus with the same recordings, unless it may."""
    for name, task in rows["tasks"].items():
        corpus = rows["corpora"].get(task["corpus"])
        if not corpus or not corpus["folds"] or "speaker" in corpus["allow_overlap"]:
            continue
        for other in _training_corpora(rows, "ulms", task["ulm"]) - {task["corpus"]}:
            if all(rows["corpora"][other][column] == corpus[column] for column in RECORDINGS):
                raise data_error(
                    rows["tasks"].place(name),
                    "no model may have heard the test speakers of a fold",
                    expected=f"an 'ulm' whose models are trained on '{task['corpus']}', once per fold, or on other recordings",
                    got=f"'{task['ulm']}', which is trained on '{other}', the same recordings",
                    remedy=f"add a codebook and a unit LM with corpora={task['corpus']}, and name that unit LM; or write speaker into "
                    "'allow_overlap' of the corpus to accept a flattering test",
                )


def _training_corpora(rows, table, name):
    """Return the names of the corpora that a model, and the models that it depends on, are trained on."""
    if table == "corpora":
        return {name} & set(rows["corpora"])
    row = rows[table].get(name)
    pairs = _references(table, row) if row else []
    return {corpus for target, reference in pairs for corpus in _training_corpora(rows, target, reference)}
