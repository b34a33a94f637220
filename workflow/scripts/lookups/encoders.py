"""Look-ups of encoders: what they are made from, and what evaluates them."""

from workflow.scripts.comparisons import compared_encoders, confounders, encoder_codebook, encoder_tasks
from workflow.scripts.lookups.checkpoints import hash_settings
from workflow.scripts.lookups.corpora import label_columns, manifest_file
from workflow.scripts.lookups.units import feature_files, num_units


def encoder_manifests(rows, config, wildcards):
    """Return the manifests of the corpora that an encoder is trained on."""
    return [manifest_file(corpus) for corpus in rows["encoders"][wildcards.encoder]["corpora"]]


def encoder_targets(rows, config, wildcards):
    """Return the units that are the pseudo-labels of an encoder: for each codebook, those of every corpus."""
    row = rows["encoders"][wildcards.encoder]
    return [f"results/units/{codebook}/{corpus}/units.parquet" for codebook in row["targets"] for corpus in row["corpora"]]


def front_end_file(rows, config, wildcards, file):
    """Return a file of the encoder whose front end a MelHuBERT shares, which is the encoder of its first pseudo-labels."""
    codebook = rows["encoders"][wildcards.encoder]["targets"][0]
    return f"results/encoders/{rows['codebooks'][codebook]['encoder']}/{file}"


def parent_file(rows, config, wildcards, file):
    """Return a file of the encoder that an encoder is made from."""
    return f"results/encoders/{rows['encoders'][wildcards.encoder]['parent']}/{file}"


def recipe_settings(rows, config, wildcards):
    """Return the roots of an encoder's corpora, and the settings in the preset of its recipe."""
    row = rows["encoders"][wildcards.encoder]
    roots = [rows["corpora"][corpus]["root"] for corpus in row["corpora"]]
    return dict(roots=roots) | config[row["recipe"]][row["preset"]]


def recipe_settings_with_targets(rows, config, wildcards):
    """Return the same as `recipe_settings`, and the number of pseudo-labels of each codebook."""
    targets = rows["encoders"][wildcards.encoder]["targets"]
    return recipe_settings(rows, config, wildcards) | dict(num_targets=[num_units(rows, name) for name in targets])


def published_encoder_settings(rows, config, wildcards):
    """Return the hashes, the architecture and the sizes of a published encoder.

    Without a preset the sizes are empty, because its config.json has them.
    """
    row = rows["encoders"][wildcards.encoder]
    preset = config["convert_encoder"][row["preset"]] if row["preset"] else dict(sizes={})
    return hash_settings(rows, row) | dict(architecture=row["architecture"]) | preset


def measured_files(rows, config, wildcards, file):
    """Return a file of each encoder that is measured: the compared encoders and their parents."""
    return [f"results/encoders/{encoder}/{file}" for encoder in compared_encoders(rows, config)]


def measured_settings(rows, config, wildcards):
    """Return the name of each encoder that is measured, and of its parent; empty if the parent is not measured."""
    names = compared_encoders(rows, config)
    parents = [rows["encoders"][name]["parent"] for name in names]
    return dict(names=names, parents=[parent if parent in names else "" for parent in parents])


def probe_features(rows, config, wildcards):
    """Return the features that a linear probe reads."""
    return feature_files(rows, config, encoder_codebook(wildcards.encoder, rows), [config["probe_encoder"]["corpus"]])


def probe_units(rows, config, wildcards):
    """Return the units of an encoder for the corpus of the probe."""
    codebook = encoder_codebook(wildcards.encoder, rows)
    return f"results/units/{codebook}/{config['probe_encoder']['corpus']}/units.parquet"


def probe_parent_units(rows, config, wildcards):
    """Return the units of an encoder's parent for the corpus of the probe; without a parent, the units of the encoder itself."""
    parent = rows["encoders"][wildcards.encoder]["parent"] or wildcards.encoder
    codebook = encoder_codebook(parent, rows)
    return f"results/units/{codebook}/{config['probe_encoder']['corpus']}/units.parquet"


def probe_settings(rows, config, wildcards):
    """Return the codebook and the layer of an encoder, and the label columns of the corpus of the probe."""
    codebook = encoder_codebook(wildcards.encoder, rows)
    return dict(
        codebook=codebook,
        layer=int(rows["codebooks"][codebook]["layer"]),
        corpus_labels=label_columns(rows, config["probe_encoder"]["corpus"]),
    )


def evaluation_files(rows, config, wildcards, file):
    """Return a file of every task that evaluates a compared encoder or its parent."""
    tasks_of = encoder_tasks(rows, config)
    return [f"results/{task}/{file}" for tasks in tasks_of.values() for task in tasks]


def evaluation_settings(rows, config, wildcards):
    """Return the settings in which the tasks of an encoder differ from those of its parent."""
    return dict(confounders=confounders(rows, config))
