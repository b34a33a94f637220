"""Look-ups of predictions: a trained task applied to any corpus.

The wildcard `trained_task` is the folder of a task below results/: `SCR`, or `superb/KS_asc_full`.
"""

from storage.errors import data_error, nearest, one_of
from workflow.scripts.lookups.corpora import shard_settings
from workflow.scripts.lookups.units import num_units, shard_names
from workflow.scripts.result_paths import wildcard_pattern

SUPERB = "superb/"  # folder of the SUPERB tasks


def trained_tasks(rows):
    """Return the regular expression of the wildcard `trained_task`."""
    return f"{wildcard_pattern(rows['tasks'], fold_tasks=[])}|{SUPERB}({wildcard_pattern(rows['superb_tasks'])})"


def listed_units_settings(rows, config, wildcards):
    return dict(num_clusters=num_units(rows, rows["corpora"][wildcards.corpus]["codebook"]))


def prediction_shards(rows, config, wildcards):
    """Return the labelled shards of a corpus."""
    folder = f"results/{wildcards.trained_task}/predictions/{wildcards.corpus}"
    return [f"{folder}/{shard}.parquet" for shard in shard_names(config)]


def listed_files(rows, config, wildcards):
    """Return the listing of a corpus. Raises `ValueError` if the corpus has units and the task needs audio, or the reverse."""
    _check_kind_of_corpus(rows, wildcards)
    return f"results/corpora/{wildcards.corpus}/files.parquet"


def labelling_settings(rows, config, wildcards):
    """Return what a job labels, and how the labels of the corpus become those of the task."""
    _, row = _trained(rows, wildcards)
    offered = _label_columns(rows, wildcards)
    references = dict(
        columns=row["labels"] if set(row["labels"]) <= set(offered) else [],
        corpus_columns=offered,
        kind=row.get("kind", ""),
        lexicon=row.get("lexicon", ""),
    )
    return shard_settings(rows, config, wildcards) | dict(references=references)


def prediction_score_settings(rows, config, wildcards):
    """Return what a task is scored with on a corpus. Raises `ValueError` where the corpus does not have the labels of the task."""
    table, row = _trained(rows, wildcards)
    offered = _label_columns(rows, wildcards)
    for name in row["labels"]:
        if name not in offered:
            raise data_error(
                rows["corpora"].place(wildcards.corpus),
                f"a corpus on which {_name(wildcards)} is scored must have the label columns of the task",
                expected=one_of(name, row["labels"]),
                got=f"{offered}",
                remedy=f"{nearest(name, offered)}name the column '{name}', or make the predictions alone (….parquet)",
            )
    section = "score_superb" if table == "superb_tasks" else "score"
    return dict(
        task=_name(wildcards),
        corpus=wildcards.corpus,
        metrics=row.get("metric", []),
        kind=row.get("kind", ""),
        collar_seconds=config["score_superb"]["collar_seconds"],
        num_resamples=config[section]["num_resamples"],
        seed=config[section]["seed"],
    )


def _trained(rows, wildcards):
    """Return the table of a trained task and its row."""
    table = "superb_tasks" if wildcards.trained_task.startswith(SUPERB) else "tasks"
    return table, rows[table][_name(wildcards)]


def _name(wildcards):
    return wildcards.trained_task.removeprefix(SUPERB)


def _label_columns(rows, wildcards):
    """Return the label columns of the corpus that is labelled."""
    return [name for name in rows["corpora"][wildcards.corpus]["label_columns"].split(",") if name]


def _check_kind_of_corpus(rows, wildcards):
    """Check that a task on audio labels audio, and one on published units a corpus of the same units. Raises `ValueError`."""
    table, row = _trained(rows, wildcards)
    codebook = "" if table == "superb_tasks" else rows["ulms"][row["ulm"]]["codebook"]
    needed = codebook if codebook and not rows["codebooks"][codebook]["encoder"] else ""
    offered = rows["corpora"][wildcards.corpus]["codebook"]
    if needed != offered:
        raise data_error(
            rows["corpora"].place(wildcards.corpus),
            f"{_name(wildcards)} labels what it was trained on",
            expected=f"units of the codebook {needed}" if needed else "audio",
            got=f"units of the codebook {offered}" if offered else "audio",
            remedy="choose another corpus or another task",
        )
