"""Look-ups of tasks on unit LMs."""

from workflow.scripts.lookups.corpora import label_columns
from workflow.scripts.lookups.unit_lms import inventory, symbols_file
from workflow.scripts.lookups.units import manifest_of_units

DECODING_COLUMNS = ("task", "metric", "sampling")  # columns in which two tasks with the same prompt may differ
NAMED_IN_SCORE = ("corpus", "codebook", "ulm", "verbalizer", "tuning", "examples_per_class", "sampling")


def task_row(rows, task):
    """Return the row of a task, with the codebook of its unit LM added; `task` is its name."""
    row = rows["tasks"][task]
    return row | dict(codebook=rows["ulms"][row["ulm"]]["codebook"])


def task_units(rows, config, wildcards):
    """Return the reduced units (or pieces) of a task's corpus that its unit LM reads."""
    row = rows["tasks"][wildcards.task]
    return symbols_file(rows, row["ulm"], row["corpus"])


def task_manifest(rows, config, wildcards):
    """Return the manifest of a task's corpus."""
    row = task_row(rows, wildcards.task)
    return manifest_of_units(rows, row["codebook"], row["corpus"])


def task_ulm_file(rows, config, wildcards, file):
    """Return a file of the task's unit LM."""
    return f"results/ulm/{rows['tasks'][wildcards.task]['ulm']}/{file}"


def label_settings(rows, config, wildcards):
    """Return the label columns of a task and of its corpus, and which rows of the corpus the task needs."""
    row = rows["tasks"][wildcards.task]
    return dict(
        labels=row["labels"],
        corpus_labels=label_columns(rows, row["corpus"]),
        needs_two_classes="eer" in row["metric"],
        examples_per_class=int(row["examples_per_class"] or 0),
    )


def class_settings(rows, config, wildcards):
    """Return whether the labels of a task are sequences."""
    return dict(sequences=rows["tasks"][wildcards.task]["labels"][0].endswith("[]"))


def verbalizer_settings(rows, config, wildcards):
    """Return the method of a task's verbalizer, and the number of units (or pieces) of its unit LM."""
    row = rows["tasks"][wildcards.task]
    return dict(method=row["verbalizer"], num_units=inventory(rows, row["ulm"])["num_units"])


def symbol_settings(rows, config, wildcards):
    """Return the name of the codebook (or pieces) that a task's unit LM reads."""
    return dict(codebook=inventory(rows, rows["tasks"][wildcards.task]["ulm"])["codebook"])


def tuning_settings(rows, config, wildcards):
    """Return the seeds and the preset of a task's prompt, and whether its verbalizer is trained with it."""
    row = rows["tasks"][wildcards.task]
    seeds = [int(seed) for seed in row["seeds"]]
    return dict(seeds=seeds, learn_verbalizer=row["verbalizer"] == "learnable") | config["tune_prompt"][row["tuning"]]


def scope_setting(rows, config, wildcards):
    """Return the scope of a task's prompt."""
    return dict(scope=config["tune_prompt"][rows["tasks"][wildcards.task]["tuning"]]["prompt"]["scope"])


def prompt_owner(rows, task):
    """Return the name of the first task in the table with the same prompt. Tasks that differ only in decoding share a prompt."""

    def training_cells(name):
        return {column: cell for column, cell in rows["tasks"][name].items() if column not in DECODING_COLUMNS}

    return next(name for name in rows["tasks"] if training_cells(name) == training_cells(task))


def prompt_owner_file(rows, config, wildcards, file):
    """Return a file of the task whose prompt a task uses."""
    return f"results/{prompt_owner(rows, wildcards.task)}/{file}"


def metric_settings(rows, config, wildcards):
    """Return the first metric of a task."""
    return dict(metric=rows["tasks"][wildcards.task]["metric"][0])


def sampling_settings(rows, config, wildcards):
    """Return the first metric of a task, the scope of its prompt, and the settings of decoding."""
    row = rows["tasks"][wildcards.task]
    scope = scope_setting(rows, config, wildcards)
    return dict(metric=row["metric"][0]) | scope | config["sample"][row["sampling"]]


def fold_files(rows, config, wildcards, file):
    """Return a file of each fold of a task."""
    return [f"results/{task}/{file}" for task in rows["tasks"][wildcards.task]["fold_tasks"]]


def score_settings(rows, config, wildcards):
    """Return the name and the metrics of a task, and the names of rows and presets for its report."""
    row = task_row(rows, wildcards.task)
    names = {column: row[column] for column in NAMED_IN_SCORE}
    encoder = rows["codebooks"][row["codebook"]]["encoder"]
    return dict(task=wildcards.task, metrics=row["metric"], names=names | dict(encoder=encoder))
