"""Folders of results/: the rows whose names they contain, and errors about paths that no rule makes."""

import re
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.io import regex_from_filepattern, strip_wildcard_constraints

from storage.errors import data_error, nearest, one_of
from workflow.scripts.renamed_keys import new_name, renamed_error

RESULT_FOLDERS = dict(  # folder of results/ → tables whose rows name the folders in it; others: `COMPARISONS`, tasks
    corpora=("corpora",),
    encoders=("encoders",),
    features=("encoders",),
    hidden_states=("encoders", "corpora"),
    units=("codebooks", "corpora"),
    ulm=("ulms",),
    superb=("superb_tasks",),
)

COMPARISONS = "comparisons"  # folder of results/ with a folder for each set that is compared
COMPARED_TABLES = (
    "tasks",
    "superb_tasks",
    "encoders",
)  # tables whose rows are compared, and keys of the config that list such rows
JOINED_BY = "+"  # between the names in the name of such a folder
MOVED = {  # former path in results/ → key of the config whose set it is about, and file in the folder of this set
    "summary.parquet": ("tasks", "summary.parquet"),
    "summary.html": ("tasks", "summary.html"),
    "differences.parquet": ("tasks", "differences.parquet"),
    "units.html": ("tasks", "units.html"),
    "superb/summary.parquet": ("superb_tasks", "superb_summary.parquet"),
    "superb/plots/methods.svg": ("superb_tasks", "plots/methods.svg"),
    "encoders/summary.parquet": ("encoders", "encoders_summary.parquet"),
    "encoders/measurements.parquet": ("encoders", "measurements.parquet"),
    "encoders/plots/encoders.svg": ("encoders", "plots/encoders.svg"),
}

# Files of a task with folds; all others are in the folders of the tasks of its folds.
FILES_OVER_FOLDS = ("acc.json", "samples.parquet", "baselines.parquet", "confusion.parquet", "plots/confusion.svg")
PREDICTION_SUFFIXES = r"\.parquet|\.json"  # of files that are named after a corpus


def wildcard_pattern(table, **cells):
    """Return the regular expression of a wildcard: the names of a table's rows, or of those whose cells have these values."""
    names = [name for name, row in table.items() if all(row[column] == value for column, value in cells.items())]
    return "|".join(map(re.escape, names)) or "none"


def configured_comparison(config, key):
    """Return the comparison of the names that a key of the config lists: the name in `comparisons` of this set, or the joined names."""
    names = (name for name, compared in config["comparisons"].items() if compared == config[key])
    return next(names, JOINED_BY.join(config[key]))


def comparison_pattern(rows, config):
    """Return the regular expression of the names of comparisons of tasks: those in the config, and joined names of tasks."""
    task = "|".join(map(re.escape, rows["tasks"].written_names()))
    return "|".join([*map(re.escape, config["comparisons"]), f"({task})({re.escape(JOINED_BY)}({task}))*"])


def unknown_paths(rows, config):
    """Return a regular expression that matches the paths in results/ with a name that no row has, or that only a fold has."""
    names = {table: "|".join(map(re.escape, rows[table])) for table in rows}
    patterns = [f"(?!({'|'.join([*RESULT_FOLDERS, COMPARISONS, names['tasks']])})/)[^/]+/.+"]
    others = "|".join(re.escape(configured_comparison(config, table)) for table in COMPARED_TABLES)
    patterns += [f"{COMPARISONS}/(?!({comparison_pattern(rows, config)}|{others})/)[^/]+/.+", *map(re.escape, MOVED)]
    for folder, tables in RESULT_FOLDERS.items():
        valid_parts = [folder]
        for table in tables:
            patterns.append("/".join([*valid_parts, f"(?!({names[table]}|plots)/)[^/]+", ".+"]))
            valid_parts.append(f"({names[table]})")
    valid_file = f"({names['corpora']})(/.+|{PREDICTION_SUFFIXES})"
    patterns.append(f"(({names['tasks']})|superb/({names['superb_tasks']}))/predictions/(?!{valid_file}$).+")
    folded_tasks = "|".join(re.escape(name) for name, row in rows["tasks"].items() if row["fold_tasks"])
    if folded_tasks:
        patterns.append(f"({folded_tasks})/(?!({'|'.join(map(re.escape, FILES_OVER_FOLDS))})$).+")
    return "|".join(patterns)


def unknown_name(path, rows, config):
    """Return the `ValueError` about a path in results/ that `unknown_paths` matches."""
    folder, *names = path.split("/")
    if path in MOVED or folder == COMPARISONS:
        return _unknown_comparison(path, rows, config)
    fold_tasks = rows["tasks"][folder]["fold_tasks"] if folder in rows["tasks"] else []
    if fold_tasks:
        return data_error(
            f"results/{path}",
            "a task with folds has the scores over them, and everything else is in the folder of a fold",
            expected=f"one of {list(FILES_OVER_FOLDS)}, or a fold such as results/{fold_tasks[0]}/{'/'.join(names)}",
            got=f"'{'/'.join(names)}'",
            remedy="name a fold; to train on all speakers but those of dev and test, add a row for the corpus without 'folds'",
        )
    pairs = list(zip(RESULT_FOLDERS[folder], names)) if folder in RESULT_FOLDERS else [("tasks", folder)]
    if "predictions" in names[:-1]:
        file = names[names.index("predictions") + 1]
        pairs.append(("corpora", re.sub(rf"({PREDICTION_SUFFIXES})$", "", file)))
    table, name = next((table, name) for table, name in pairs if name not in rows[table])
    renamed = new_name(f"{table}.{name}")
    if renamed in rows[table]:
        return renamed_error(f"results/{path}", "row", name, renamed)
    named_after = "a row and one of its tunings in" if table == "superb_tasks" else "rows of"
    return data_error(
        f"results/{path}",
        f"results are named after {named_after} {rows[table].where()}",
        expected=one_of(name, rows[table]),
        got=f"'{name}'",
        remedy=f"{nearest(name, rows[table])}correct the path, or add the row",
    )


def unknown_file(path, outputs):
    """Return the `ValueError` about a path in results/ that no rule makes, or None if a rule makes it.

    Args:
        path: the path, such as `results/SCR/accc.json`.
        outputs: the outputs of all rules, with wildcards, such as `results/{task}/acc.json`.
    """
    if any(re.fullmatch(regex_from_filepattern(output), path) for output in outputs):
        return None
    folder = path
    files = _files_in(folder, outputs)
    while not files and "/" in folder:
        folder = folder.rpartition("/")[0]
        files = _files_in(folder, outputs)
    file = path.removeprefix(folder).lstrip("/")
    return data_error(
        path,
        "no rule makes this file",
        expected=f"in {folder}/ {one_of(file, files)}",
        got=f"'{file}'" if file else "the folder alone",
        remedy=f"{nearest(file, files)}correct the path; docs/results_layout.md lists all files",
    )


def _files_in(folder, outputs):
    """Return the outputs in a folder and its subfolders whose names do not depend on a wildcard, relative to the folder."""
    files = set()
    for output in outputs:
        parts = strip_wildcard_constraints(output).split("/")
        for file in ("/".join(parts[-1:]), "/".join(parts[-2:])):
            if "{" not in file and re.fullmatch(regex_from_filepattern(output.removesuffix(f"/{file}")), folder):
                files.add(file)
    return files


def _unknown_comparison(path, rows, config):
    """Return the error about a comparison that the config does not have, or about a file that is in the folder of its set."""
    if path in MOVED:
        key, file = MOVED[path]
        return data_error(
            f"results/{path}",
            f"each set that is compared has a folder in results/{COMPARISONS}/",
            expected=f"the folder of the set in '{key}' of the config",
            got="no set",
            remedy=f"write results/{COMPARISONS}/{configured_comparison(config, key)}/{file}",
        )
    comparison = path.split("/")[1]
    valid = [*config["comparisons"], *rows["tasks"].written_names()]
    names = comparison.split(JOINED_BY)
    wrong = next((name for name in names if name not in valid), comparison)
    remedy = f"{nearest(wrong, valid)}correct the path, or add the name to 'comparisons'"
    for experiment in sorted(Path("config/experiments").glob("*/config.yaml")):
        if wrong == experiment.parent.name or wrong in load_configfile(str(experiment)).get("comparisons", {}):
            remedy = f"add: --configfile {experiment}"
    for key in COMPARED_TABLES[1:]:
        if set(names) <= set(rows[key].written_names()):
            remedy = f"add: --config '{key}=[{', '.join(names)}]'"
    return data_error(
        f"results/{path}",
        f"each set of tasks has a folder in results/{COMPARISONS}/, named after its tasks, such as SCR{JOINED_BY}MINE, or in "
        "'comparisons' of the config",
        expected=one_of(wrong, valid),
        got=f"'{wrong}'",
        remedy=remedy,
    )
