"""Look-ups of corpora: roots, sources and manifests."""

from pathlib import Path

from storage import provenance
from storage.errors import data_error, nearest
from storage.paths import existing_form, similar_file
from workflow.scripts.config_files import merged
from workflow.scripts.external_files import contents, file_digest, folder_digest, is_made_here

OWN_DATA_ADAPTERS = ("table", "folders", "units")  # all other adapters read a published corpus
# Cells of a corpus that its adapter does not need.
MANIFEST_CELLS = ("allow_overlap", "max_reject_fraction", "folds", "fold", "fold_of")


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
    return settings | dict(allow_overlap=row["allow_overlap"], num_folds=int(row["folds"] or 0))


def divided_manifest(rows, config, wildcards):
    """Return the manifest of the corpus that is divided into folds, one of which is `wildcards.corpus`."""
    return manifest_file(rows["corpora"][wildcards.corpus]["fold_of"])


def fold_settings(rows, config, wildcards):
    """Return which fold a corpus is, of how many, and what its manifest is checked with."""
    row = rows["corpora"][wildcards.corpus]
    return dict(
        corpus=wildcards.corpus,
        fold=int(row["fold"]),
        num_folds=int(row["folds"]),
        label_columns=row["label_columns"],
        allow_overlap=row["allow_overlap"],
    )


def slot_manifests(rows, config, wildcards):
    """Return the manifests of the two corpora from which commands with slots are made."""
    return [manifest_file(corpus) for corpus in (wildcards.corpus, wildcards.other)]


def synthesis_settings(rows, config, wildcards):
    """Return the settings of a corpus of commands that is synthesized."""
    return _section_for_corpus(config, wildcards.corpus, "synthesize_commands")


def intent_settings(rows, config, wildcards):
    """Return the settings of a corpus of sentences with intents that is synthesized."""
    return _section_for_corpus(config, wildcards.corpus, "synthesize_intents")


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
    """Return the files of published units of a corpus without audio that are at an address.

    Raises:
        ValueError: if a file on the disk does not exist.
    """
    paths = _unit_files(rows, wildcards)
    for path in paths:
        if "://" not in path and not Path(path).exists():
            raise _missing_file(rows["corpora"], wildcards.corpus, "source", Path(path))
    return [path for path in paths if "://" in path]


def unit_contents(rows, config, wildcards):
    """Return the other files of published units with their digests, as the param `external_files` of scripts/stage.py."""
    paths = [path for path in _unit_files(rows, wildcards) if "://" not in path]
    return dict(source=contents(paths, file_digest)) if paths else {}


def _unit_files(rows, wildcards):
    row = rows["corpora"][wildcards.corpus]
    return [f"{row['root']}/{name}" for name in row["source"]]


def corpus_source(rows, config, wildcards, is_dry_run):
    """Return what the manifest of a corpus is made from, if a rule makes it: the fetched folder or a metadata file. Else an empty list.

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
    if is_made_here(root):
        return [f"{root}/{row['metadata']}"] if row["metadata"] else []
    has_manifest = Path(manifest_file(wildcards.corpus)).exists()
    if not (is_dry_run or root.exists() or has_manifest):
        raise _missing_root(rows["corpora"], wildcards.corpus)
    if row["metadata"] and not _metadata_file(row).exists():  # otherwise Snakemake would be content with an old manifest
        raise _missing_file(rows["corpora"], wildcards.corpus, "metadata", _metadata_file(row))
    return []


def corpus_contents(rows, config, wildcards):
    """Return what else a manifest is made from with its digest, as the param `external_files` of scripts/stage.py.

    This is the metadata file, or the folder of a corpus of the adapter `folders`. Published corpora are taken not to change.
    """
    row = rows["corpora"][wildcards.corpus]
    if is_made_here(row["root"]):
        return {}
    if row["metadata"]:
        return dict(source=contents([str(_metadata_file(row))], file_digest))
    return dict(source=contents([row["root"]], folder_digest)) if row["adapter"] == "folders" else {}


def first_root(rows, config, wildcards):
    """Return the root at which the recordings of a corpus were first read; as a param of its manifest, it tells Snakemake of other ones.

    A corpus that was moved keeps its first root. Recordings that are not those of the manifest are read again.
    """
    root = rows["corpora"][wildcards.corpus]["root"]
    manifest = Path(manifest_file(wildcards.corpus))
    if is_made_here(root) or not manifest.exists():
        return str(root)
    try:
        settings = provenance.read(manifest)["settings"]
        is_same = settings["corpus"]["root"] == root or _has_moved(manifest, root)
        return settings["first_root"] if is_same else str(root)
    except (KeyError, OSError, ValueError):  # a damaged manifest, which is reported when it is read
        return str(root)


def _has_moved(manifest, root):
    """Return whether the recordings of a manifest are below another root now."""
    from speech2unit.corpora.moved import has_recordings  # here, because it takes longer to import than a plan
    from speech2unit.corpora.schemas import MANIFEST
    from storage import tables

    return has_recordings(root, [row for row in tables.read(manifest, MANIFEST).to_pylist() if row["speed"] == 1])


def _metadata_file(row):
    """Return the path of the metadata file of a corpus; `row` is its row."""
    root = Path(row["root"])
    return root / (existing_form(row["metadata"], root) or row["metadata"])


def _missing_file(corpora, name, column, path):
    """Return the error about a file of a corpus that does not exist; `column` is the column of its row that names it."""
    folder = path.parent
    similar = similar_file(folder, path.name) if folder.is_dir() else None
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file()) if folder.is_dir() else []
    hint = f"did you mean '{similar}'? " if similar else nearest(path.name, names)
    return data_error(
        corpora.place(name),
        f"the {column} file of a corpus must exist",
        expected=f"{path}",
        got="no such file" if folder.is_dir() else f"no such folder: {folder}",
        remedy=f"{hint}correct 'root' or '{column}', or the paths of config/config.yaml",
    )


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
