# Input functions of superb.smk: the files and settings of a task of SUPERB, which is a row of superb_tasks.tsv with one tuning.
# The results of a task are in results/superb/{superb_task}. A sweep trains the task with other learning rates, each in a folder
# below it that is named after their factor: x0.3, x3, …

RUN = "results/superb/{superb_task}{run}"


def superb_row(wildcards):
    """Return the row of the task."""
    return ROWS["superb_tasks"][wildcards.superb_task]


def superb_manifest(wildcards):
    """Return the manifest of the task's corpus."""
    return f"results/corpora/{superb_row(wildcards)['corpus']}/manifest.parquet"


def superb_lexicon(wildcards):
    """Return the lexicon if it exists. If it does not, the stage reports it, and everything else can still be planned."""
    path = superb_row(wildcards)["lexicon"]
    return [path] if path and Path(path).exists() else []


def superb_dataset_settings(wildcards):
    """Return the settings of create_superb_dataset that are in the task's row."""
    row = superb_row(wildcards)
    return dict(
        kind=row["kind"],
        labels=row["labels"],
        corpus_labels=ROWS["corpora"][row["corpus"]]["label_columns"].split(","),
        lexicon=row["lexicon"],
        fraction=float(row["fraction"] or 1),
    )


def superb_encoder(file):
    """Return an input function for a file of the task's encoder."""

    def path(wildcards):
        return f"results/encoders/{superb_row(wildcards)['encoder']}/{file}"

    return path


def superb_hidden_states(wildcards):
    """Return the shards of hidden states of the task's corpus, if they are kept and nothing in the encoder is trained."""
    row = superb_row(wildcards)
    method = config["tune_encoder"][row["tuning"]]["tuning"]["method"]
    if method != "weighted_sum" or not config["cache_hidden_states"]:
        return []
    path = "results/hidden_states/{encoder}/{corpus}/{shard}.parquet"
    return expand(path, encoder=row["encoder"], corpus=row["corpus"], shard=SHARDS)


def superb_warm_start(wildcards):
    """Return the tensors of the task that this one starts from, if its row names one."""
    name = superb_row(wildcards)["warm_start"]
    return [f"results/superb/{name}/tuned.safetensors"] if name else []


def hidden_states_settings(wildcards):
    """Return where the audio is and which shard is read."""
    shard, num_shards = map(int, wildcards.shard.split("-of-"))
    return dict(root=ROWS["corpora"][wildcards.corpus]["root"], shard=shard, num_shards=num_shards)


def superb_training_settings(wildcards):
    """Return the presets of the task. The folder of a sweep (`/x0.3`) names the factor of the learning rates."""
    return training_settings(superb_row(wildcards), config, rate_factor=float(wildcards.run[2:] or 1))


def superb_root_and_seeds(wildcards):
    """Return where the audio is and the seeds of the task."""
    row = superb_row(wildcards)
    return dict(root=ROWS["corpora"][row["corpus"]]["root"], seeds=[int(seed) for seed in row["seeds"]])


def superb_tuning_settings(wildcards):
    """Return the settings of tune_encoder."""
    return superb_root_and_seeds(wildcards) | superb_training_settings(wildcards)


def superb_prediction_settings(wildcards):
    """Return the settings of predict that the trained model has to have."""
    settings = superb_training_settings(wildcards)
    return superb_root_and_seeds(wildcards) | dict(
        kind=settings["kind"],
        tuning=settings["tuning"],
        head=settings["head"],
        batch_size=settings["batch_size"],
    )


def superb_score_settings(wildcards):
    """Return what score_superb writes about the task besides its scores."""
    row = superb_row(wildcards)
    names = {column: row[column] for column in ("corpus", "encoder", "tuning", "head")}
    return dict(
        superb_task=wildcards.superb_task,
        kind=row["kind"],
        names=names | dict(fraction=float(row["fraction"] or 1)),
        presets=superb_training_settings(wildcards),
    )


def sweep_scores(wildcards):
    """Return the score of each run of a sweep. The run with factor 1 is the task itself."""
    folder = f"results/superb/{wildcards.superb_task}"
    factors = config["sweep_learning_rates"]["factors"]
    return [f"{folder}/score.json" if float(factor) == 1 else f"{folder}/x{factor}/score.json" for factor in factors]
