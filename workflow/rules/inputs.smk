# Input functions: which files a row of config/ stands for.

from snakemake.exceptions import WorkflowError


def corpus_source(wildcards):
    row = ROWS["corpora"][wildcards.corpus]
    path = Path(row["root"]) / row["metadata"]
    if row["metadata"] and "results" not in path.parts and not path.exists():  # without this an old manifest would do
        raise WorkflowError(
            f"config/corpora.tsv, corpus '{wildcards.corpus}': its metadata must exist; got no {path}; "
            "correct 'root' or 'metadata', or the paths of config/config.yaml"
        )
    return [str(path)] if row["metadata"] else []


def unit_sources(wildcards):
    row = ROWS["corpora"][wildcards.corpus]
    return [f"{row['root']}/{name}" for name in row["source"]]


def root_settings(wildcards):
    return dict(root=ROWS["corpora"][wildcards.corpus]["root"])


def manifest_settings(wildcards):
    return dict(corpus=ROWS["corpora"][wildcards.corpus])


def checkpoint_files(table):
    """Input function: the files behind the published encoder, codebook or unit LM that the wildcards name."""

    def paths(wildcards):
        name = ROWS[table][wildcards[table.removesuffix("s")]]["checkpoint"]
        return expand(CHECKPOINT_FILE, checkpoint=name, file=ROWS["checkpoints"][name]["files"]) if name else []

    return paths


def checkpoint_hashes(row):
    return dict(sha256=ROWS["checkpoints"][row["checkpoint"]]["sha256"] if row["checkpoint"] else [])


def download_settings(wildcards):
    row = ROWS["checkpoints"][wildcards.checkpoint]
    hashes = dict(zip(row["files"], row["sha256"]))
    return dict(address=row["address"], sha256=hashes.get(wildcards.file, "-"))


def published_encoder_settings(wildcards):
    row = ROWS["encoders"][wildcards.encoder]
    preset = config["convert_encoder"][row["preset"]] if row["preset"] else dict(sizes={})
    return checkpoint_hashes(row) | dict(architecture=row["architecture"]) | preset


def published_codebook_settings(wildcards):
    return checkpoint_hashes(ROWS["codebooks"][wildcards.codebook]) | size_settings(wildcards)


def published_ulm_settings(wildcards):
    row = ROWS["ulms"][wildcards.ulm]
    num_units = int(ROWS["codebooks"][row["codebook"]]["num_clusters"])
    return checkpoint_hashes(row) | dict(num_units=num_units) | config["convert_ulm"][row["preset"]]


def encoder_manifests(wildcards):
    return expand("results/corpora/{corpus}/manifest.parquet", corpus=ROWS["encoders"][wildcards.encoder]["corpora"])


def encoder_roots(wildcards):
    return dict(roots=[ROWS["corpora"][c]["root"] for c in ROWS["encoders"][wildcards.encoder]["corpora"]])


def encoder_targets(wildcards):
    row = ROWS["encoders"][wildcards.encoder]
    return expand("results/units/{codebook}/{corpus}/units.parquet", codebook=row["targets"], corpus=row["corpora"])


def front_end(file):
    """Input function: `file` of the encoder whose front end a MelHuBERT shares (that of its first targets)."""

    def path(wildcards):
        codebook = ROWS["encoders"][wildcards.encoder]["targets"][0]
        return f"results/encoders/{ROWS['codebooks'][codebook]['encoder']}/{file}"

    return path


def melhubert_settings(wildcards):
    row = ROWS["encoders"][wildcards.encoder]
    sizes = [int(ROWS["codebooks"][name]["num_clusters"]) for name in row["targets"]]
    return encoder_roots(wildcards) | dict(num_targets=sizes) | config["pretrain_melhubert"][row["preset"]]


def parent_file(file):
    """Input function: `file` of the encoder that an encoder is made of."""

    def path(wildcards):
        return f"results/encoders/{ROWS['encoders'][wildcards.encoder]['parent']}/{file}"

    return path


def recipe_settings(wildcards):
    row = ROWS["encoders"][wildcards.encoder]
    return encoder_roots(wildcards) | config[row["recipe"]][row["preset"]]


def compression_settings(wildcards):
    targets = ROWS["encoders"][wildcards.encoder]["targets"]
    sizes = [int(ROWS["codebooks"][name]["num_clusters"]) for name in targets]
    return recipe_settings(wildcards) | dict(num_targets=sizes)


def log_mel_settings(wildcards):
    return encoder_roots(wildcards) | config["fit_log_mel"][ROWS["encoders"][wildcards.encoder]["preset"]]


def feature_settings(wildcards):
    shard, num_shards = map(int, wildcards.shard.split("-of-"))
    root = ROWS["corpora"][wildcards.corpus]["root"]
    return dict(root=root, layer=int(wildcards.layer), shard=shard, num_shards=num_shards)


def feature_files(codebook, corpora):
    row = ROWS["codebooks"][codebook]
    path = "results/features/{encoder}/layer{layer}/{corpus}/{shard}.parquet"
    return expand(path, encoder=row["encoder"], layer=row["layer"], corpus=corpora, shard=SHARDS)


def corpus_features(wildcards):
    return feature_files(wildcards.codebook, wildcards.corpus)


def codebook_features(wildcards):
    return feature_files(wildcards.codebook, ROWS["codebooks"][wildcards.codebook]["corpora"])


def size_settings(wildcards):
    return dict(num_clusters=int(ROWS["codebooks"][wildcards.codebook]["num_clusters"]))


def context_settings(wildcards):
    return dict(context_frames=int(ROWS["codebooks"][wildcards.codebook]["context_frames"]))


def codebook_settings(wildcards):
    row = ROWS["codebooks"][wildcards.codebook]
    return size_settings(wildcards) | context_settings(wildcards) | dict(num_components=int(row["num_components"]))


def task_row(wildcards):
    row = ROWS["tasks"][wildcards.task]
    return row | dict(codebook=ROWS["ulms"][row["ulm"]]["codebook"])


def task_units(wildcards):
    row = task_row(wildcards)
    return f"results/units/{row['codebook']}/{row['corpus']}/reduced_units.parquet"


def task_manifest(wildcards):
    row = task_row(wildcards)
    if ROWS["corpora"][row["corpus"]]["codebook"]:
        return f"results/units/{row['codebook']}/{row['corpus']}/manifest.parquet"
    return f"results/corpora/{row['corpus']}/manifest.parquet"


def task_ulm(file):
    """Input function: `file` of the task's unit LM."""

    def path(wildcards):
        return f"results/ulm/{task_row(wildcards)['ulm']}/{file}"

    return path


def label_settings(wildcards):
    row = task_row(wildcards)
    columns = ROWS["corpora"][row["corpus"]]["label_columns"]
    few = int(row["examples_per_class"] or 0)
    return dict(labels=row["labels"], corpus_labels=columns.split(","), examples_per_class=few)


def verbalizer_settings(wildcards):
    row = task_row(wildcards)
    return dict(method=row["verbalizer"], num_units=int(ROWS["codebooks"][row["codebook"]]["num_clusters"]))


def task_codebook(wildcards):
    return dict(codebook=task_row(wildcards)["codebook"])


def tuning_settings(wildcards):
    row = task_row(wildcards)
    settings = config["tune_prompt"][row["tuning"]]
    return dict(seeds=[int(seed) for seed in row["seeds"]], learn_verbalizer=row["verbalizer"] == "learnable") | settings


def metric_settings(wildcards):
    return dict(metric=task_row(wildcards)["metric"])


def sampling_settings(wildcards):
    return metric_settings(wildcards) | dict(scope=tuning_settings(wildcards)["scope"])


def score_settings(wildcards):
    row = task_row(wildcards)
    encoder = ROWS["codebooks"][row["codebook"]]["encoder"]
    return metric_settings(wildcards) | dict(
        task=wildcards.task,
        names={k: row[k] for k in ("corpus", "codebook", "ulm", "verbalizer", "tuning")} | dict(encoder=encoder),
    )


def ulm_units(wildcards):
    row = ROWS["ulms"][wildcards.ulm]
    return expand("results/units/{codebook}/{corpus}/reduced_units.parquet", codebook=row["codebook"], corpus=row["corpora"])


def vocabulary_settings(wildcards):
    codebook = ROWS["ulms"][wildcards.ulm]["codebook"]
    return dict(codebook=codebook, num_units=int(ROWS["codebooks"][codebook]["num_clusters"]))


def ulm_settings(wildcards):
    return config["pretrain_ulm"][ROWS["ulms"][wildcards.ulm]["preset"]]


def encoder_codebook(encoder):
    """The codebook that an encoder is judged by: its first row."""
    found = next((name for name, row in ROWS["codebooks"].items() if row["encoder"] == encoder), None)
    if not found:
        raise WorkflowError(f"config.encoders: encoder '{encoder}' has no codebook; add a row to {config['tables']['codebooks']}")
    return found


def measured_encoders():
    """The encoders of config.encoders and their parents, which must take turns with them."""
    parents = [ROWS["encoders"][name]["parent"] for name in config["encoders"]]
    return list(dict.fromkeys([*config["encoders"], *filter(None, parents)]))


def measured_files(file):
    return expand("results/encoders/{encoder}/{file}", encoder=measured_encoders(), file=file)


def measured_settings(wildcards):
    names = measured_encoders()
    parents = [ROWS["encoders"][name]["parent"] for name in names]
    return dict(names=names, parents=[parent if parent in names else "" for parent in parents])


def probed_features(wildcards):
    return feature_files(encoder_codebook(wildcards.encoder), config["probe_encoder"]["corpus"])


def probed_units(of_parent):
    """Input function: units of the corpus of the probe under the codebook of an encoder or of its parent."""

    def path(wildcards):
        parent = ROWS["encoders"][wildcards.encoder]["parent"] if of_parent else ""
        codebook = encoder_codebook(parent or wildcards.encoder)
        return f"results/units/{codebook}/{config['probe_encoder']['corpus']}/units.parquet"

    return path


def probe_settings(wildcards):
    codebook = encoder_codebook(wildcards.encoder)
    columns = ROWS["corpora"][config["probe_encoder"]["corpus"]]["label_columns"]
    return dict(codebook=codebook, layer=int(ROWS["codebooks"][codebook]["layer"]), corpus_labels=columns.split(","))


def encoder_reports(wildcards):
    """acc.json of the first of config.tasks that stands on each encoder of config.encoders, where one does."""
    found = {}
    for task in config["tasks"]:
        codebook = ROWS["ulms"][ROWS["tasks"][task]["ulm"]]["codebook"]
        found.setdefault(ROWS["codebooks"][codebook]["encoder"], task)
    tasks = [found[encoder] for encoder in config["encoders"] if encoder in found]
    return expand("results/{task}/acc.json", task=tasks)
