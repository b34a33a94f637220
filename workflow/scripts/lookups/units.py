"""Look-ups of codebooks, features and units."""

from workflow.scripts.lookups.checkpoints import hash_settings
from workflow.scripts.lookups.corpora import manifest_file, shard_settings


def shard_names(config):
    """Return the names of the shards in which a corpus is encoded: 1-of-2, 2-of-2."""
    return [f"{number}-of-{config['num_shards']}" for number in range(1, config["num_shards"] + 1)]


def feature_files(rows, config, codebook, corpora):
    """Return the features of corpora that a codebook reads."""
    row = rows["codebooks"][codebook]
    folder = f"results/features/{row['encoder']}/layer{row['layer']}"
    return [f"{folder}/{corpus}/{shard}.parquet" for corpus in corpora for shard in shard_names(config)]


def feature_settings(rows, config, wildcards):
    return shard_settings(rows, config, wildcards) | dict(layer=int(wildcards.layer))


def corpus_features(rows, config, wildcards):
    """Return the features of the corpus that gets units."""
    return feature_files(rows, config, wildcards.codebook, [wildcards.corpus])


def codebook_features(rows, config, wildcards):
    """Return the features that a codebook is fitted on."""
    return feature_files(rows, config, wildcards.codebook, rows["codebooks"][wildcards.codebook]["corpora"])


def codebook_encoder_file(rows, config, wildcards, file):
    """Return a file of the encoder that a codebook reads."""
    return f"results/encoders/{rows['codebooks'][wildcards.codebook]['encoder']}/{file}"


def num_units(rows, codebook):
    return int(rows["codebooks"][codebook]["num_clusters"])


def size_settings(rows, config, wildcards):
    return dict(num_clusters=num_units(rows, wildcards.codebook))


def context_settings(rows, config, wildcards):
    return dict(context_frames=int(rows["codebooks"][wildcards.codebook]["context_frames"]))


def layer_settings(rows, config, wildcards):
    row = rows["codebooks"][wildcards.codebook]
    return dict(encoder=row["encoder"], layer=int(row["layer"]))


def codebook_settings(rows, config, wildcards):
    """Return everything that a codebook is fitted with."""
    return dict(
        **size_settings(rows, config, wildcards),
        **context_settings(rows, config, wildcards),
        **layer_settings(rows, config, wildcards),
        num_components=int(rows["codebooks"][wildcards.codebook]["num_components"]),
    )


def published_codebook_settings(rows, config, wildcards):
    return dict(
        **hash_settings(rows, rows["codebooks"][wildcards.codebook]),
        **size_settings(rows, config, wildcards),
        **layer_settings(rows, config, wildcards),
    )


def manifest_of_units(rows, codebook, corpus):
    """Return the manifest of a corpus; that of published units is in the folder of the units."""
    if rows["corpora"][corpus]["codebook"]:
        return f"results/units/{codebook}/{corpus}/manifest.parquet"
    return manifest_file(corpus)


def units_manifest(rows, config, wildcards):
    return manifest_of_units(rows, wildcards.codebook, wildcards.corpus)


def measuring_settings(rows, config, wildcards):
    columns = rows["corpora"][wildcards.corpus]["label_columns"]
    return size_settings(rows, config, wildcards) | dict(label_columns=columns)
