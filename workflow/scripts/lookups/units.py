"""Look-ups of codebooks, features and units."""

from workflow.scripts.lookups.checkpoints import hash_settings
from workflow.scripts.lookups.corpora import manifest_file, root_settings, shard_settings


def shard_names(config):
    """Return the names of the shards in which a corpus is encoded: 1-of-2, 2-of-2."""
    return [f"{number}-of-{config['num_shards']}" for number in range(1, config["num_shards"] + 1)]


def feature_files(rows, config, codebook, corpora):
    """Return the features of several corpora that a codebook reads, all shards.

    Args:
        rows, config: as for every look-up.
        codebook: name of the codebook.
        corpora: names of the corpora.
    """
    row = rows["codebooks"][codebook]
    folder = f"results/features/{row['encoder']}/layer{row['layer']}"
    return [f"{folder}/{corpus}/{shard}.parquet" for corpus in corpora for shard in shard_names(config)]


def sample_files(rows, codebook, corpora):
    """Return the features of the sampled utterances of several corpora on which a codebook is fitted; arguments as `feature_files`."""
    row = rows["codebooks"][codebook]
    return [f"results/features/{row['encoder']}/layer{row['layer']}/{corpus}/sample.parquet" for corpus in corpora]


def feature_settings(rows, config, wildcards):
    """Return the root of a corpus, the shard that a job encodes, and the layer."""
    return shard_settings(rows, config, wildcards) | dict(layer=int(wildcards.layer))


def sample_settings(rows, config, wildcards):
    """Return the root of a corpus, the layer, and how many frames codebooks are fitted on."""
    max_frames = config["fit_codebook"]["max_frames_per_corpus"]
    return root_settings(rows, config, wildcards) | dict(layer=int(wildcards.layer), max_frames_per_corpus=max_frames)


def corpus_features(rows, config, wildcards):
    """Return the features of the corpus whose units are computed."""
    return feature_files(rows, config, wildcards.codebook, [wildcards.corpus])


def divided_units(rows, config, wildcards):
    """Return the units of the corpus that is divided into folds, one of which is `wildcards.corpus`."""
    return f"results/units/{wildcards.codebook}/{rows['corpora'][wildcards.corpus]['fold_of']}/units.parquet"


def codebook_features(rows, config, wildcards):
    """Return the features that a codebook is fitted on: of whole corpora, or of sampled utterances if no others are made."""
    corpora = rows["codebooks"][wildcards.codebook]["corpora"]
    if config["features"] == "none":
        return sample_files(rows, wildcards.codebook, corpora)
    return feature_files(rows, config, wildcards.codebook, corpora)


def codebooks_together(config, codebook):
    """Return the names of the codebooks whose units are made together with those of a codebook, itself included."""
    return next((names for names in config["codebooks_together"] if codebook in names), [codebook])


def codebooks_file(rows, config, wildcards, file):
    """Return a file of each of the codebooks whose units a job makes."""
    return [f"results/units/{codebook}/{file}" for codebook in codebooks_together(config, wildcards.codebook)]


def encoded_units_files(rows, config, wildcards):
    """Return all shards of the units of a corpus. They are in the folder of the first of the codebooks that are used together."""
    first = codebooks_together(config, wildcards.codebook)[0]
    return [f"results/units/{first}/{wildcards.corpus}/encoded_units/{shard}.parquet" for shard in shard_names(config)]


def encoding_settings(rows, config, wildcards):
    """Return the root of a corpus, the shard that a job encodes, the layer, and the codebooks with their context frames."""
    names = codebooks_together(config, wildcards.codebook)
    return shard_settings(rows, config, wildcards) | dict(
        layer=int(rows["codebooks"][wildcards.codebook]["layer"]),
        codebooks=names,
        context_frames=[int(rows["codebooks"][name]["context_frames"]) for name in names],
    )


def codebook_encoder_file(rows, config, wildcards, file):
    """Return a file of the encoder whose features a codebook reads."""
    return f"results/encoders/{rows['codebooks'][wildcards.codebook]['encoder']}/{file}"


def num_units(rows, codebook):
    """Return the number of units of a codebook; `codebook` is its name."""
    return int(rows["codebooks"][codebook]["num_clusters"])


def size_settings(rows, config, wildcards):
    """Return the number of clusters of a codebook."""
    return dict(num_clusters=num_units(rows, wildcards.codebook))


def context_settings(rows, config, wildcards):
    """Return the number of context frames of a codebook."""
    return dict(context_frames=int(rows["codebooks"][wildcards.codebook]["context_frames"]))


def layer_settings(rows, config, wildcards):
    """Return the encoder of a codebook, and the layer."""
    row = rows["codebooks"][wildcards.codebook]
    return dict(encoder=row["encoder"], layer=int(row["layer"]))


def codebook_settings(rows, config, wildcards):
    """Return all settings of the fit of a codebook that its row determines, and that the features are those of a sample, if they are."""
    sampled = dict(max_frames_per_corpus=None) if config["features"] == "none" else {}
    return dict(
        **sampled,
        **size_settings(rows, config, wildcards),
        **context_settings(rows, config, wildcards),
        **layer_settings(rows, config, wildcards),
        num_components=int(rows["codebooks"][wildcards.codebook]["num_components"]),
    )


def published_codebook_settings(rows, config, wildcards):
    """Return the hashes, the size, the encoder and the layer of a published codebook."""
    return dict(
        **hash_settings(rows, rows["codebooks"][wildcards.codebook]),
        **size_settings(rows, config, wildcards),
        **layer_settings(rows, config, wildcards),
    )


def manifest_of_units(rows, codebook, corpus):
    """Return the manifest of a corpus. If the corpus consists of published units, it is in the folder of the units."""
    if rows["corpora"][corpus]["codebook"]:
        return f"results/units/{codebook}/{corpus}/manifest.parquet"
    return manifest_file(corpus)


def units_manifest(rows, config, wildcards):
    """Return the manifest of the corpus whose units are used."""
    return manifest_of_units(rows, wildcards.codebook, wildcards.corpus)


def measuring_settings(rows, config, wildcards):
    """Return the size of a codebook, and the label columns of a corpus."""
    columns = rows["corpora"][wildcards.corpus]["label_columns"]
    return size_settings(rows, config, wildcards) | dict(label_columns=columns)
