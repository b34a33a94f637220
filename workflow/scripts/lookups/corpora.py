"""Look-ups of corpora: roots, sources and manifests."""

from pathlib import Path

from storage.errors import data_error
from storage.paths import existing_form
from workflow.scripts.config_files import merged

OWN_DATA_ADAPTERS = ("table", "folders", "units")  # all other adapters read a published corpus
MANIFEST_CELLS = ("allow_overlap", "max_reject_fraction")  # cells of a corpus that only the checks of its manifest need


def manifest_file(corpus):
    """Return the path of the manifest of a corpus with audio; `corpus` is its name."""
    return f"results/corpora/{corpus}/manifest.parquet"


def label_columns(rows, corpus):
    """Return the names of a corpus's label columns as a list; `corpus` is its name."""
    return rows["corpora"][corpus]["label_columns"].split(",")


def root_settings(rows, config, wildcards):
    """Return the root folder of a corpus."""
    return dict(root=rows["corpora"][wildcards.corpus]["root"])


def listing_settings(rows, config, wildcards):
    """Return the row of a corpus, without `MANIFEST_CELLS`."""
    return dict(corpus={name: cell for name, cell in rows["corpora"][wildcards.corpus].items() if name not in MANIFEST_CELLS})


def manifest_settings(rows, config, wildcards):
    """Return the settings of the manifest of a corpus; a cell of its row counts more than the config."""
    row = rows["corpora"][wildcards.corpus]
    settings = config["make_manifest"] | listing_settings(rows, config, wildcards)
    if row["max_reject_fraction"]:
        settings |= dict(max_reject_fraction=float(row["max_reject_fraction"]))
    return settings | dict(allow_overlap=row["allow_overlap"])


def slot_manifests(rows, config, wildcards):
    """Return the manifests of the two corpora from which commands with slots are made."""
    return [manifest_file(corpus) for corpus in (wildcards.corpus, wildcards.other)]


def synthesis_settings(rows, config, wildcards):
    """Return the settings of a corpus that is synthesized."""
    return _section_for_corpus(config, wildcards.corpus, "synthesize_commands")


def string_settings(rows, config, wildcards):
    """Return the root folder of a corpus, and the settings of the strings that are made from its clips."""
    return _section_for_corpus(config, wildcards.corpus, "concatenate_clips") | root_settings(rows, config, wildcards)


def mixture_settings(rows, config, wildcards):
    """Return the root folder of a corpus, and the settings of the mixtures that are made from its clips."""
    return _section_for_corpus(config, wildcards.corpus, "mix_speakers") | root_settings(rows, config, wildcards)


def slot_settings(rows, config, wildcards):
    """Return the root folders of two corpora, and the settings of the commands with slots that are made from their clips."""
    roots = [rows["corpora"][corpus]["root"] for corpus in (wildcards.corpus, wildcards.other)]
    return _section_for_corpus(config, wildcards.corpus, "concatenate_slots") | dict(roots=roots)


def _section_for_corpus(config, corpus, section):
    """Return a section of the config with the changes that `settings_of_corpora` makes for one corpus."""
    return merged(config[section], config["settings_of_corpora"].get(corpus, {}).get(section, {}))


def shard_settings(rows, config, wildcards):
    """Return the root of a corpus, the number of the shard that a job encodes, and the number of shards."""
    shard, num_shards = map(int, wildcards.shard.split("-of-"))
    return root_settings(rows, config, wildcards) | dict(shard=shard, num_shards=num_shards)


def corpus_address(rows, config, wildcards):
    """Return the address from which a corpus is fetched, such as s3://bucket/folder, as a list of one."""
    return [rows["corpora"][wildcards.corpus]["address"]]


def unit_sources(rows, config, wildcards):
    """Return the files of published units of a corpus without audio."""
    row = rows["corpora"][wildcards.corpus]
    return [f"{row['root']}/{name}" for name in row["source"]]


def corpus_source(rows, config, wildcards, is_dry_run):
    """Return the fetched folder or the metadata file that a manifest is made from; an empty list if the corpus has neither.

    Args:
        rows, config, wildcards: as for every look-up.
        is_dry_run: whether Snakemake only plans.

    Raises:
        ValueError: if the metadata file does not exist; or if the root does not exist, except in a dry run.
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
    metadata = root / (existing_form(row["metadata"], root) or row["metadata"])
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
    """Return the error about a corpus whose root folder does not exist."""
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
