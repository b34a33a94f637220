# What encoders are made of, and what they are measured by.


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


def measured_files(file):
    return expand("results/encoders/{encoder}/{file}", encoder=compared_encoders(ROWS, config), file=file)


def measured_settings(wildcards):
    names = compared_encoders(ROWS, config)
    parents = [ROWS["encoders"][name]["parent"] for name in names]
    return dict(names=names, parents=[parent if parent in names else "" for parent in parents])


def probed_features(wildcards):
    return feature_files(encoder_codebook(wildcards.encoder, ROWS), config["probe_encoder"]["corpus"])


def probed_units(of_parent):
    """Input function: units of the corpus of the probe under the codebook of an encoder or of its parent."""

    def path(wildcards):
        parent = ROWS["encoders"][wildcards.encoder]["parent"] if of_parent else ""
        codebook = encoder_codebook(parent or wildcards.encoder, ROWS)
        return f"results/units/{codebook}/{config['probe_encoder']['corpus']}/units.parquet"

    return path


def probe_settings(wildcards):
    codebook = encoder_codebook(wildcards.encoder, ROWS)
    columns = ROWS["corpora"][config["probe_encoder"]["corpus"]]["label_columns"]
    return dict(codebook=codebook, layer=int(ROWS["codebooks"][codebook]["layer"]), corpus_labels=columns.split(","))


def evaluation_files(file):
    """`file` of the tasks that say what the encoders of the summary, and their parents, are worth."""
    return expand(f"results/{{task}}/{file}", task=sum(encoder_tasks(ROWS, config).values(), []))


def evaluation_settings(wildcards):
    return dict(confounders=confounders(ROWS, config))
