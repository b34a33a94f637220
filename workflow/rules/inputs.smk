# Input functions: which files a row of config/ stands for.

FETCHED_CORPORA = "|".join(re.escape(name) for name, row in ROWS["corpora"].items() if row["address"]) or "none"


def outside(path):
    """A file that is no result: in a storage where it has an address (s3://…), else here, wherever results are stored."""
    return storage(path) if "://" in path else local(path)


def corpus_address(wildcards):
    return outside(ROWS["corpora"][wildcards.corpus]["address"])


def refuse_name(wildcards):
    """Input function of files that nothing makes: says which name was meant, where Snakemake knows no more than the path."""
    if not Path("results", wildcards.unknown).exists():
        raise WorkflowError(str(unknown_name(wildcards.unknown, ROWS)))
    return []


def corpus_source(wildcards):
    row = ROWS["corpora"][wildcards.corpus]
    if row["address"]:
        return [local(row["root"])]
    root, manifest = Path(row["root"]), Path("results/corpora", wildcards.corpus, "manifest.parquet")
    if not (workflow.dryrun or "results" in root.parts or root.exists() or manifest.exists()):
        published = row["adapter"] not in ("table", "folders", "units")
        get = f"get the corpus (speech2unit/corpora/adapters/{row['adapter']}.py says where from), or " if published else ""
        raise WorkflowError(
            f"{ROWS['corpora'].place(wildcards.corpus)}: the root of a corpus must exist; got no {root}; {get}correct 'root', or "
            "paths of config/config.yaml"
        )
    path = root / row["metadata"]
    if row["metadata"] and "results" not in path.parts and not path.exists():  # without this an old manifest would do
        raise WorkflowError(
            f"{ROWS['corpora'].place(wildcards.corpus)}: the metadata of a corpus must exist; got no {path}; "
            "correct 'root' or 'metadata', or the paths of config/config.yaml"
        )
    return [outside(str(path))] if row["metadata"] else []


def unit_sources(wildcards):
    row = ROWS["corpora"][wildcards.corpus]
    return [outside(f"{row['root']}/{name}") for name in row["source"]]


def root_settings(wildcards):
    return dict(root=ROWS["corpora"][wildcards.corpus]["root"])


def slot_manifests(wildcards):
    return expand("results/corpora/{corpus}/manifest.parquet", corpus=(wildcards.corpus, wildcards.other))


def slot_settings(wildcards):
    return dict(roots=[ROWS["corpora"][name]["root"] for name in (wildcards.corpus, wildcards.other)])


def manifest_settings(wildcards):
    return dict(corpus=ROWS["corpora"][wildcards.corpus])


def checkpoint_files(table):
    """Input function: the files behind the published encoder, codebook or unit LM that the wildcards name."""

    def paths(wildcards):
        name = ROWS[table][wildcards[table.removesuffix("s")]]["checkpoint"]
        files = expand(CHECKPOINT_FILE, checkpoint=name, file=ROWS["checkpoints"][name]["files"]) if name else []
        return list(map(outside, files))

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
    hashes = checkpoint_hashes(ROWS["codebooks"][wildcards.codebook])
    return hashes | size_settings(wildcards) | layer_settings(wildcards)


def published_ulm_settings(wildcards):
    row = ROWS["ulms"][wildcards.ulm]
    num_units = int(ROWS["codebooks"][row["codebook"]]["num_clusters"])
    return checkpoint_hashes(row) | dict(num_units=num_units) | config["convert_ulm"][row["preset"]]


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


def layer_settings(wildcards):
    row = ROWS["codebooks"][wildcards.codebook]
    return dict(encoder=row["encoder"], layer=int(row["layer"]))


def codebook_settings(wildcards):
    num_components = int(ROWS["codebooks"][wildcards.codebook]["num_components"])
    settings = size_settings(wildcards) | context_settings(wildcards) | layer_settings(wildcards)
    return settings | dict(num_components=num_components)


def task_row(wildcards):
    row = ROWS["tasks"][wildcards.task]
    return row | dict(codebook=ROWS["ulms"][row["ulm"]]["codebook"])


def task_units(wildcards):
    row = task_row(wildcards)
    return units_read(row["ulm"], row["corpus"])[0]


def manifest_of(codebook, corpus):
    """A corpus that starts at units has its manifest beside them."""
    folder = f"units/{codebook}" if ROWS["corpora"][corpus]["codebook"] else "corpora"
    return f"results/{folder}/{corpus}/manifest.parquet"


def task_manifest(wildcards):
    row = task_row(wildcards)
    return manifest_of(row["codebook"], row["corpus"])


def units_manifest(wildcards):
    return manifest_of(wildcards.codebook, wildcards.corpus)


def measuring_settings(wildcards):
    return size_settings(wildcards) | dict(label_columns=ROWS["corpora"][wildcards.corpus]["label_columns"])


def task_ulm(file):
    """Input function: `file` of the task's unit LM."""

    def path(wildcards):
        return f"results/ulm/{task_row(wildcards)['ulm']}/{file}"

    return path


def label_settings(wildcards):
    row = task_row(wildcards)
    columns = ROWS["corpora"][row["corpus"]]["label_columns"]
    few = int(row["examples_per_class"] or 0)
    two = "eer" in row["metric"]
    return dict(labels=row["labels"], corpus_labels=columns.split(","), needs_two_classes=two, examples_per_class=few)


def class_settings(wildcards):
    return dict(sequences=task_row(wildcards)["labels"][0].endswith("[]"))


def verbalizer_settings(wildcards):
    row = task_row(wildcards)
    return dict(method=row["verbalizer"], num_units=inventory(row["ulm"])["num_units"])


def task_codebook(wildcards):
    return dict(codebook=inventory(task_row(wildcards)["ulm"])["codebook"])


def tuning_settings(wildcards):
    row = task_row(wildcards)
    settings = config["tune_prompt"][row["tuning"]]
    return dict(seeds=[int(seed) for seed in row["seeds"]], learn_verbalizer=row["verbalizer"] == "learnable") | settings


def trained_task(task):
    """The first task of the table that trains the same: rows that differ in metric and sampling alone share a prompt."""
    alike = [[v for c, v in ROWS["tasks"][t].items() if c not in ("task", "metric", "sampling")] for t in (task, *ROWS["tasks"])]
    return list(ROWS["tasks"])[alike.index(alike[0], 1) - 1]


def trained(file):
    """Input function: `file` of the task whose prompt this task uses."""

    def path(wildcards):
        return f"results/{trained_task(wildcards.task)}/{file}"

    return path


def metric_settings(wildcards):
    return dict(metric=task_row(wildcards)["metric"][0])


def sampling_settings(wildcards):
    settings = config["sample"][task_row(wildcards)["sampling"]]
    return metric_settings(wildcards) | dict(scope=tuning_settings(wildcards)["prompt"]["scope"]) | settings


def score_settings(wildcards):
    row = task_row(wildcards)
    encoder = ROWS["codebooks"][row["codebook"]]["encoder"]
    return dict(
        task=wildcards.task,
        metrics=row["metric"],
        names={k: row[k] for k in ("corpus", "codebook", "ulm", "verbalizer", "tuning", "examples_per_class", "sampling")}
        | dict(encoder=encoder),
    )


def ulm_settings(wildcards):
    row = ROWS["ulms"][wildcards.ulm]
    return config["pretrain_ulm"][row["preset"]] | dict(seed=int(row["seed"]))


def output_patterns(wildcards):
    """Regular expressions of the files that rules make, and the rules' names."""
    return [(file.regex().pattern, rule.name) for rule in workflow.rules for file in rule.output]
