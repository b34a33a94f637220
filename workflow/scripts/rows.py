"""Read the rows of config/, complete them, and check them before anything runs."""

import os
from pathlib import Path

from storage.errors import data_error
from storage.paths import existing_form
from workflow.scripts.architectures import constants
from workflow.scripts.external_files import Location
from workflow.scripts.folds import expand_folds
from workflow.scripts.row_checks import check_rows, check_seeds
from workflow.scripts.row_tables import read_table

TABLES = ("checkpoints", "corpora", "encoders", "codebooks", "ulms", "tasks", "superb_tasks")
RECIPE_OF = constants("RECIPE")  # architecture → stage that trains such an encoder from scratch


def read_rows(config, schemas, texts=None):
    """Return a dict from the name of each table to its `Table` of completed rows.

    In completed rows, paths are formatted. Corpora have an `address` if they are fetched, encoders have the `recipe` that makes
    them, and codebooks and unit LMs have `published`, which says whether they are. Unit LMs also have `from_transformers`, which
    says whether they are published in the format of transformers.

    A row in a file may stand for several rows: a unit LM with several `seeds` stands for one unit LM per seed, a task on it for
    one task per seed, and a SUPERB task for one task per `tuning`. A corpus with `folds` stands for one corpus per fold, as do the
    rows that depend on it; see `folds.expand_folds`.

    Args:
        config: the merged config.
        schemas: folder of the schemas of the tables.
        texts: dict from the path of a table to a text that is read in place of the file, to check it before it is written.

    Raises:
        ValueError: if a row is wrong. The message is about the first one, with its file and cell.
    """
    rows = {}
    for table in TABLES:
        rows[table] = read_table(table, table_files(config, table), Path(schemas) / f"{table}.schema.yaml", texts)
    rows["ulms"] = rows["ulms"].expand(_ulm_variants(rows["ulms"]))
    rows["tasks"] = rows["tasks"].expand(_task_variants(rows["ulms"]))
    _complete_corpora(rows["corpora"], config)
    _complete_checkpoints(rows["checkpoints"])
    _complete_models(rows)
    for name, row in rows["superb_tasks"].items():
        row["lexicon"] = _format_path(row["lexicon"], config, rows["superb_tasks"].place(name))
    rows["superb_tasks"] = rows["superb_tasks"].expand(_tasks_of_superb_row)
    expand_folds(rows)
    check_rows(rows, config)
    return rows


def _ulm_variants(ulms):
    """Return a function that yields one unit LM per seed: `x` for the first seed, `x_seed2` for a further seed 2."""

    def variants(name, row):
        seeds = row.pop("seeds")
        check_seeds(seeds, ulms.place(name))
        for number, seed in enumerate(seeds or [""]):
            yield (f"{name}_seed{seed}" if number else name), row | dict(seed=seed)

    return variants


def _task_variants(ulms):
    """Return a function that yields one task per seed of its unit LM, with names such as `TASK` and `TASK_seed2`."""

    def variants(name, row):
        for ulm in ulms.names_of(row["ulm"]):
            yield name + ulm.removeprefix(row["ulm"]), row | dict(ulm=ulm)

    return variants


def table_files(config, table):
    """Return the files of a table as a list. The config has a single file or a list of files."""
    files = config["tables"][table]
    return [files] if isinstance(files, str) else files


def _complete_corpora(corpora, config):
    for name, row in corpora.items():
        row["label_columns"] = ",".join(column.strip() for column in row["label_columns"].split(","))
        row["root"] = _format_path(row["root"], config, corpora.place(name))
        if not row["root"].isascii():  # its letters may be composed otherwise on disk
            row["root"] = str(existing_form(row["root"]) or row["root"])
        row["address"] = row["root"] if "://" in row["root"] and row["adapter"] != "units" else ""
        if row["address"]:
            row["root"] = f"results/corpora/{name}/fetched"
        row["root"] = Location(row["root"])


def _complete_checkpoints(checkpoints):
    for name, row in checkpoints.items():
        row["sha256"] = row["sha256"] or ["-"] * len(row["files"])
        if len(row["sha256"]) != len(row["files"]):
            raise data_error(
                checkpoints.place(name),
                "each file must have a SHA-256",
                expected=f"{len(row['files'])} values, - for an unknown one",
                got=f"{len(row['sha256'])}",
                remedy="complete 'sha256', or leave it empty",
            )


def _complete_models(rows):
    for row in rows["encoders"].values():
        trained_here = "convert_encoder" if row["checkpoint"] else RECIPE_OF.get(row["architecture"], "convert_encoder")
        row["recipe"] = row["recipe"] or trained_here
    for row in [*rows["codebooks"].values(), *rows["ulms"].values()]:
        row["published"] = bool(row["checkpoint"])
    for row in rows["ulms"].values():
        row["in_pieces"] = bool(row["num_pieces"])
        checkpoint = rows["checkpoints"].get(row["checkpoint"], dict(files=[]))
        row["from_transformers"] = "config.json" in checkpoint["files"]


def _tasks_of_superb_row(name, row):
    """Yield the name and the row of one task for each tuning that a row of superb_tasks.tsv lists."""
    for tuning in map(str.strip, row["tuning"].split(",")):
        yield f"{name}_{tuning}", row | dict(tuning=tuning)


def _format_path(text, config, place):
    """Return a path with `{data}` replaced by `paths.data` of the config and `~` by the home folder."""
    try:
        return os.path.expanduser(text.format(**config["paths"]))
    except (KeyError, ValueError, IndexError) as error:
        raise data_error(
            place,
            "a path may use the folders in `paths` of the config in braces",
            expected=f"names out of {sorted(config['paths'])}",
            got=f"'{text}'",
            remedy="correct the path, or add the folder to 'paths'",
        ) from error
