"""Look-ups of SUPERB tasks.

Results of a task are in results/superb/{superb_task}. Its sweep runs the task with other learning rates; the results of these
runs are in subfolders such as x0.3 and x3, which name the factor of the learning rates.
"""

from pathlib import Path

from workflow.scripts.lookups.corpora import label_columns, manifest_file
from workflow.scripts.lookups.units import shard_names


def superb_manifest(rows, config, wildcards):
    """Return the manifest of a task's corpus."""
    return manifest_file(rows["superb_tasks"][wildcards.superb_task]["corpus"])


def superb_lexicon(rows, config, wildcards):
    """Return a list with the lexicon of a task; empty if it has none, or the file does not exist.

    If the file does not exist, the stage raises the error, so that other tasks can still be planned.
    """
    path = rows["superb_tasks"][wildcards.superb_task]["lexicon"]
    return [path] if path and Path(path).exists() else []


def superb_dataset_settings(rows, config, wildcards):
    """Return the kind, the label columns, the lexicon and the fraction of training rows of a task."""
    row = rows["superb_tasks"][wildcards.superb_task]
    return dict(
        kind=row["kind"],
        labels=row["labels"],
        corpus_labels=label_columns(rows, row["corpus"]),
        lexicon=row["lexicon"],
        fraction=_fraction(row),
    )


def superb_encoder_file(rows, config, wildcards, file):
    """Return a file of the task's encoder."""
    return f"results/encoders/{rows['superb_tasks'][wildcards.superb_task]['encoder']}/{file}"


def superb_hidden_states(rows, config, wildcards):
    """Return the hidden states of the task's corpus; empty if they are not kept, or something in the encoder is trained."""
    row = rows["superb_tasks"][wildcards.superb_task]
    method = config["tune_encoder"][row["tuning"]]["tuning"]["method"]
    if method != "weighted_sum" or not config["cache_hidden_states"]:
        return []
    return [f"results/hidden_states/{row['encoder']}/{row['corpus']}/{shard}.parquet" for shard in shard_names(config)]


def superb_warm_start(rows, config, wildcards):
    """Return a list with the trained weights of the task from which this task starts; empty if there is none."""
    name = rows["superb_tasks"][wildcards.superb_task]["warm_start"]
    return [f"results/superb/{name}/tuned.safetensors"] if name else []


def superb_tuning_settings(rows, config, wildcards):
    """Return the settings of the training of a task, its seeds, and the root folder of its corpus."""
    row = rows["superb_tasks"][wildcards.superb_task]
    return _root_and_seeds(rows, row) | _run_settings(row, config, wildcards)


def superb_prediction_settings(rows, config, wildcards):
    """Return the settings of the trained model, its seeds, and the root folder of the corpus."""
    row = rows["superb_tasks"][wildcards.superb_task]
    training = _run_settings(row, config, wildcards)
    return _root_and_seeds(rows, row) | dict(
        kind=training["kind"],
        tuning=training["tuning"],
        head=training["head"],
        batch_size=training["batch_size"],
    )


def superb_score_settings(rows, config, wildcards):
    """Return the name and the kind of a task, and the names and presets for its report."""
    row = rows["superb_tasks"][wildcards.superb_task]
    names = {column: row[column] for column in ("corpus", "encoder", "tuning", "head")}
    return dict(
        superb_task=wildcards.superb_task,
        kind=row["kind"],
        names=names | dict(fraction=_fraction(row)),
        presets=_run_settings(row, config, wildcards),
    )


def training_settings(row, config, rate_factor):
    """Return the settings of a training: the presets of its head and its tuning as one dict, and the `kind` of the task.

    Args:
        row: row of `superb_tasks` with a single `tuning`.
        config: the config.
        rate_factor: factor of both learning rates; 1 except in a sweep.
    """
    head = config["superb_heads"][row["head"]]
    tuning = config["tune_encoder"][row["tuning"]]
    learning_rate = rate_factor * head["optimization"]["learning_rate"]
    return head | dict(
        kind=row["kind"],
        tuning=tuning["tuning"],
        encoder_learning_rate=rate_factor * tuning["encoder_learning_rate"],
        optimization=head["optimization"] | dict(learning_rate=learning_rate),
    )


def sweep_scores(rows, config, wildcards):
    """Return the scores of a task's sweep over learning rates. The run with factor 1 is the task itself."""
    folder = f"results/superb/{wildcards.superb_task}"
    factors = config["sweep_learning_rates"]["factors"]
    return [f"{folder}/score.json" if float(factor) == 1 else f"{folder}/x{factor}/score.json" for factor in factors]


def _fraction(row):
    """Return the fraction of the training split that a task uses."""
    return float(row["fraction"] or 1)


def _root_and_seeds(rows, row):
    """Return the root folder of a task's corpus, and the seeds of the task."""
    return dict(root=rows["corpora"][row["corpus"]]["root"], seeds=[int(seed) for seed in row["seeds"]])


def _run_settings(row, config, wildcards):
    """Return the training settings of a run. In a sweep, its folder (`/x0.3`) names the factor of the learning rates."""
    return training_settings(row, config, rate_factor=float(wildcards.run.removeprefix("/x") or 1))
