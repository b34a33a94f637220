"""Look-ups of corpora: roots, sources and manifests."""

from pathlib import Path

from storage.errors import data_error

OWN_DATA_ADAPTERS = ("table", "folders", "units")  # all others read a published corpus


def manifest_file(corpus):
    """Return the manifest of a corpus of audio."""
    return f"results/corpora/{corpus}/manifest.parquet"


def label_columns(rows, corpus):
    """Return the label columns of a corpus as a list."""
    return rows["corpora"][corpus]["label_columns"].split(",")


def root_settings(rows, config, wildcards):
    return dict(root=rows["corpora"][wildcards.corpus]["root"])


def manifest_settings(rows, config, wildcards):
    return dict(corpus=rows["corpora"][wildcards.corpus])


def slot_manifests(rows, config, wildcards):
    return [manifest_file(corpus) for corpus in (wildcards.corpus, wildcards.other)]


def slot_settings(rows, config, wildcards):
    return dict(roots=[rows["corpora"][corpus]["root"] for corpus in (wildcards.corpus, wildcards.other)])


def shard_settings(rows, config, wildcards):
    """Return the root of a corpus and which of its shards a job encodes."""
    shard, num_shards = map(int, wildcards.shard.split("-of-"))
    return root_settings(rows, config, wildcards) | dict(shard=shard, num_shards=num_shards)


def corpus_address(rows, config, wildcards):
    """Return where a corpus is fetched from, such as s3://bucket/folder."""
    return [rows["corpora"][wildcards.corpus]["address"]]


def unit_sources(rows, config, wildcards):
    """Return the files of published units that a corpus consists of."""
    row = rows["corpora"][wildcards.corpus]
    return [f"{row['root']}/{name}" for name in row["source"]]


def corpus_source(rows, config, wildcards, is_dry_run):
    """Return what a manifest is made from: the fetched folder, or the metadata file, if the corpus has either.

    Raises:
        ValueError: if the root or the metadata file does not exist; in a dry run the root may be missing.
    """
    row = rows["corpora"][wildcards.corpus]
    if row["address"]:
        return [row["root"]]
    root = Path(row["root"])
    is_made_here = "results" in root.parts
    has_manifest = Path(manifest_file(wildcards.corpus)).exists()
    if not (is_dry_run or is_made_here or root.exists() or has_manifest):
        raise _missing_root(rows["corpora"], wildcards.corpus)
    if not row["metadata"]:
        return []
    metadata = root / row["metadata"]
    if not is_made_here and not metadata.exists():  # otherwise Snakemake would be content with an old manifest
        raise data_error(
            rows["corpora"].place(wildcards.corpus),
            "the metadata file of a corpus must exist",
            expected=f"{metadata}",
            got="no such file",
            remedy="correct 'root' or 'metadata', or the paths of config/config.yaml",
        )
    return [str(metadata)]


def _missing_root(corpora, name):
    row = corpora[name]
    remedy = "correct 'root', or the paths of config/config.yaml"
    if row["adapter"] not in OWN_DATA_ADAPTERS:
        adapter = f"speech2unit/corpora/adapters/{row['adapter']}.py"
        remedy = f"get the corpus ({adapter} says where from), or {remedy}"
    return data_error(
        corpora.place(name),
        "the root of a corpus must exist",
        expected=row["root"],
        got="no such folder",
        remedy=remedy,
    )
