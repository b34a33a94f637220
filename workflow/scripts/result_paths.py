"""Folders below results/: which names they are made of, and what is meant where a name is of no row."""

import re

from storage.errors import data_error, nearest, one_of
from workflow.scripts.renamed_keys import new_name, renamed_error

PLACES = dict(  # folder of results/ → tables that the names of the folders below it are rows of; other folders are tasks
    corpora=("corpora",),
    encoders=("encoders",),
    features=("encoders",),
    hidden_states=("encoders", "corpora"),
    units=("codebooks", "corpora"),
    ulm=("ulms",),
    superb=("superb_tasks",),
)


def unknown_paths(rows):
    """A regular expression of the paths below results/ that hold a name which no row has."""
    known = {table: "|".join(map(re.escape, rows[table])) for table in rows}
    found = [f"(?!({'|'.join([*PLACES, known['tasks']])})/)[^/]+/.+"]
    for folder, tables in PLACES.items():
        parts = [folder]
        for table in tables:
            found.append("/".join([*parts, f"(?!({known[table]}|plots)/)[^/]+", ".+"]))
            parts.append(f"({known[table]})")
    return "|".join(found)


def unknown_name(path, rows, config):
    """The `ValueError` about a path below results/ that `unknown_paths` matches."""
    folder, *names = path.split("/")
    pairs = list(zip(PLACES[folder], names)) if folder in PLACES else [("tasks", folder)]
    table, name = next((table, name) for table, name in pairs if name not in rows[table])
    if renamed := new_name(f"{table}.{name}"):
        return renamed_error(f"results/{path}", "row", name, renamed)
    return data_error(
        f"results/{path}",
        f"results are named after rows of {config['tables'][table]}",
        expected=one_of(name, rows[table]),
        got=f"'{name}'",
        remedy=f"{nearest(name, rows[table])}correct it or add the row",
    )
