# Input functions of superb.smk: which files and settings a row of config/superb_tasks.tsv stands for. Results of a task lie in
# results/superb/{superb_task}; those with another learning rate, for its sweep, in a folder of it: x0.3, x3, …

RUN = "results/superb/{superb_task}{run}"


def superb_row(wildcards):
    return ROWS["superb_tasks"][wildcards.superb_task]


def superb_manifest(wildcards):
    return f"results/corpora/{superb_row(wildcards)['corpus']}/manifest.parquet"


def superb_lexicon(wildcards):
    """The lexicon where it is there: without it the stage says what lacks, and the rest can be planned."""
    path = superb_row(wildcards)["lexicon"]
    return [path] if path and Path(path).exists() else []


def superb_dataset_settings(wildcards):
    row = superb_row(wildcards)
    return dict(
        kind=row["kind"],
        labels=row["labels"],
        corpus_labels=ROWS["corpora"][row["corpus"]]["label_columns"].split(","),
        lexicon=row["lexicon"],
        fraction=float(row["fraction"] or 1),
    )


def superb_encoder(file):
    """Input function: `file` of the task's encoder."""

    def path(wildcards):
        return f"results/encoders/{superb_row(wildcards)['encoder']}/{file}"

    return path


def superb_states(wildcards):
    """The shards of hidden states of the task's corpus, where the encoder has no trained part and they are kept."""
    row = superb_row(wildcards)
    cached = config["tune_encoder"][row["tuning"]]["tuning"]["method"] == "weighted_sum" and config["cache_hidden_states"]
    path = "results/hidden_states/{encoder}/{corpus}/{shard}.parquet"
    return expand(path, encoder=row["encoder"], corpus=row["corpus"], shard=SHARDS) if cached else []


def superb_start(wildcards):
    """What the task whose head and layer weights this one starts from has trained, if any."""
    name = superb_row(wildcards)["warm_start"]
    return [f"results/superb/{name}/tuned.safetensors"] if name else []


def states_settings(wildcards):
    shard, num_shards = map(int, wildcards.shard.split("-of-"))
    return dict(root=ROWS["corpora"][wildcards.corpus]["root"], shard=shard, num_shards=num_shards)


def superb_root(wildcards):
    return dict(root=ROWS["corpora"][superb_row(wildcards)["corpus"]]["root"])


def superb_presets(wildcards):
    """How the task is trained: its presets, learning rates times the factor that the folder of a sweep names (`/x0.3`)."""
    row = superb_row(wildcards)
    presets = config["superb_heads"][row["head"]] | config["tune_encoder"][row["tuning"]]
    return presets | dict(kind=row["kind"], rate_factor=float(wildcards.run[2:] or 1))


def superb_seeds(wildcards):
    return dict(seeds=[int(seed) for seed in superb_row(wildcards)["seeds"]])


def superb_tuning_settings(wildcards):
    return superb_root(wildcards) | superb_presets(wildcards) | superb_seeds(wildcards)


def superb_prediction_settings(wildcards):
    found = superb_presets(wildcards)
    model = dict(kind=found["kind"], tuning=found["tuning"], head=found["head"], batch_size=found["batch_size"])
    return superb_root(wildcards) | model | superb_seeds(wildcards)


def superb_score_settings(wildcards):
    row = superb_row(wildcards)
    names = {name: row[name] for name in ("corpus", "encoder", "tuning", "head")} | dict(fraction=float(row["fraction"] or 1))
    return dict(superb_task=wildcards.superb_task, kind=row["kind"], names=names, presets=superb_presets(wildcards))


def sweep_scores(wildcards):
    """Reports of the runs of a task's sweep; factor 1 is the task itself."""
    folder, factors = f"results/superb/{wildcards.superb_task}", config["sweep_learning_rates"]["factors"]
    return [f"{folder}/score.json" if float(factor) == 1 else f"{folder}/x{factor}/score.json" for factor in factors]
