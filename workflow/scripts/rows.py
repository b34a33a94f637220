"""The rows of config/: read, and held against each other and the YAML, before anything runs."""

import os
from pathlib import Path

from storage.errors import data_error, nearest, one_of
from workflow.scripts.comparisons import compared_encoders, encoder_codebook
from workflow.scripts.config_files import read_table
from workflow.scripts.renamed_keys import new_name, renamed_error
from workflow.scripts.result_paths import PLACES

TABLES = ("checkpoints", "corpora", "encoders", "codebooks", "ulms", "tasks", "superb_tasks")
FITTED = dict(log_mel="fit_log_mel", melhubert="pretrain_melhubert")  # architecture → the stage that fits it from nothing
WITH_BLOCKS = ("melhubert", "wav2vec2", "distilalhubert", "decoar2")  # architectures that SUPERB's tasks can look into
HEADS_OF = dict(  # kind of SUPERB task → architectures of heads that can say its labels
    dict.fromkeys(("KS", "IC", "SID"), ("mean_pooling",)),
    **dict.fromkeys(("ASR", "PR", "SF"), ("linear_ctc", "recurrent_ctc")),
    SD=("diarization",),
)
SHRUNK = ("melhubert", "wav2vec2")  # architectures that pruning, factorising and distilling keep
REFERENCES = (  # table, column, the table that it names
    ("encoders", "checkpoint", "checkpoints"),
    ("encoders", "parent", "encoders"),
    ("codebooks", "checkpoint", "checkpoints"),
    ("ulms", "checkpoint", "checkpoints"),
    ("encoders", "corpora", "corpora"),
    ("encoders", "targets", "codebooks"),
    ("codebooks", "encoder", "encoders"),
    ("codebooks", "corpora", "corpora"),
    ("ulms", "codebook", "codebooks"),
    ("ulms", "corpora", "corpora"),
    ("tasks", "corpus", "corpora"),
    ("tasks", "ulm", "ulms"),
    ("superb_tasks", "corpus", "corpora"),
    ("superb_tasks", "encoder", "encoders"),
    ("superb_tasks", "warm_start", "superb_tasks"),
)
PRESETS = (  # table, column, cells of the rows that are meant, the section of config.yaml whose presets it names
    ("encoders", "preset", dict(recipe="fit_log_mel"), "fit_log_mel"),
    ("encoders", "preset", dict(recipe="pretrain_melhubert"), "pretrain_melhubert"),
    ("encoders", "preset", dict(recipe="distil_layers"), "distil_layers"),
    ("encoders", "preset", dict(recipe="convert_encoder"), "convert_encoder"),
    ("encoders", "preset", dict(recipe="prune_weights"), "prune_weights"),
    ("encoders", "preset", dict(recipe="prune_heads"), "prune_heads"),
    ("encoders", "preset", dict(recipe="prune_rows"), "prune_rows"),
    ("encoders", "preset", dict(recipe="factorize_layers"), "factorize_layers"),
    ("encoders", "preset", dict(recipe="distil_posteriors"), "distil_posteriors"),
    ("ulms", "preset", dict(published=False), "pretrain_ulm"),
    ("ulms", "preset", dict(published=True), "convert_ulm"),
    ("tasks", "tuning", {}, "tune_prompt"),
    ("tasks", "sampling", {}, "sample"),
    ("superb_tasks", "tuning", {}, "tune_encoder"),
    ("superb_tasks", "head", {}, "superb_heads"),
)
LISTS = ("corpora", "targets", "labels", "metric", "seeds", "source", "files", "sha256")  # comma-separated cells


def read_rows(config, schemas):
    """Table → name → row (column → text, or list of texts), checked. Raises `ValueError` that names the cell.

    Rows of codebooks and unit LMs also say whether they are `published`: converted, not fitted here. The `recipe` of an
    encoder is the stage that makes it.
    """
    rows = {table: read_table(Path(config["tables"][table]), Path(schemas) / f"{table}.schema.yaml", LISTS) for table in TABLES}
    _complete(rows, config)
    for table, column, target in REFERENCES:
        for name, row in rows[table].items():
            for value in row[column] if isinstance(row[column], list) else [row[column]]:
                if value and value not in rows[target]:
                    whose = f"'{column}' names a row of {config['tables'][target]}"
                    raise _unknown(f"{config['tables'][table]}, row '{name}'", whose, value, rows[target], target)
    for table, column, cells, section in PRESETS:
        for name, row in rows[table].items():
            if row[column] and row[column] not in config[section] and cells.items() <= row.items():
                place = f"{config['tables'][table]}, row '{name}'"
                renamed = new_name(f"{section}.{row[column]}")
                raise data_error(
                    place,
                    f"'{column}' names a preset of section {section} of the config",
                    expected=f"'{renamed}', its new name" if renamed else one_of(row[column], config[section]),
                    got=f"'{row[column]}'",
                    remedy="rename it" if renamed else f"{nearest(row[column], config[section])}correct it or add the preset",
                )
    _check_parents(rows["encoders"], config["tables"]["encoders"])
    _check_published(rows, config)
    _check_layers(rows, config)
    _check_tasks(rows, config)
    _check_superb_tasks(rows, config)
    _check_named(rows, config)
    return rows


def _complete(rows, config):
    """Fill in what cells stand for: roots, addresses (s3://…) of corpora that are fetched, recipes, whether a model is
    published, hashes that are not known (`-`); label columns lose their blanks.
    """
    for name, row in rows["corpora"].items():
        row["label_columns"] = ",".join(column.strip() for column in row["label_columns"].split(","))
        row["root"] = _path(row["root"], config, f"{config['tables']['corpora']}, row '{name}'")
        row["address"] = row["root"] if "://" in row["root"] and row["adapter"] != "units" else ""
        if row["address"]:
            row["root"] = f"results/corpora/{name}/fetched"
    for name, row in rows["superb_tasks"].items():
        row["lexicon"] = _path(row["lexicon"], config, f"{config['tables']['superb_tasks']}, row '{name}'")
    for row in rows["encoders"].values():
        fitted = "convert_encoder" if row["checkpoint"] else FITTED.get(row["architecture"], "convert_encoder")
        row["recipe"] = row["recipe"] or fitted
    for row in [*rows["codebooks"].values(), *rows["ulms"].values()]:
        row["published"] = bool(row["checkpoint"])
    for row in rows["ulms"].values():
        row["in_pieces"] = bool(row["num_pieces"])
    for name, row in rows["checkpoints"].items():
        row["sha256"] = row["sha256"] or ["-"] * len(row["files"])
        if len(row["sha256"]) != len(row["files"]):
            raise data_error(
                f"{config['tables']['checkpoints']}, row '{name}'",
                "each file has its SHA-256",
                expected=f"{len(row['files'])}, - where unknown",
                got=f"{len(row['sha256'])}",
                remedy="complete the cell, or leave it empty",
            )


def _path(text, config, place):
    """`{data}/speech` → that folder, with what `paths` of the config has for `data`; `~` → one's home."""
    try:
        return os.path.expanduser(text.format(**config["paths"]))
    except (KeyError, ValueError, IndexError) as error:
        raise data_error(
            place,
            "a path names folders of `paths` of the config in braces",
            expected=f"of {sorted(config['paths'])}",
            got=f"'{text}'",
            remedy="correct it",
        ) from error


def _check_parents(encoders, path):
    """An encoder cannot be its own ancestor; what is made of a transformer keeps its architecture, or has one of its own, and
    what predicts pseudo-labels, those of its parent.
    """
    for name, row in encoders.items():
        line = [name]
        while parent := encoders[line[-1]]["parent"]:
            line.append(parent)
            if parent in line[:-1]:
                raise data_error(
                    f"{path}, row '{name}'",
                    "an encoder is not made of itself",
                    expected="a line of parents that ends",
                    got=" ← ".join(line),
                    remedy="name another 'parent' in one of them",
                )
        if row["parent"] and row["architecture"] in SHRUNK and row["architecture"] != encoders[row["parent"]]["architecture"]:
            raise data_error(
                f"{path}, row '{name}'",
                "an encoder has the architecture of its parent",
                expected=encoders[row["parent"]]["architecture"],
                got=row["architecture"],
                remedy="correct 'architecture' or 'parent'",
            )
        predicted = next((encoders[parent]["targets"] for parent in line[1:] if encoders[parent]["targets"]), row["targets"])
        if row["targets"] and row["parent"] and row["targets"] != predicted:
            raise data_error(
                f"{path}, row '{name}'",
                "an encoder goes on predicting the pseudo-labels of its parent",
                expected=", ".join(predicted),
                got=", ".join(row["targets"]),
                remedy="correct 'targets'",
            )


def _check_published(rows, config):
    """A published encoder has the sizes of a preset, or those of a config.json beside its weights."""
    for name, row in rows["encoders"].items():
        files = rows["checkpoints"][row["checkpoint"]]["files"] if row["checkpoint"] else []
        if files and not row["preset"] and not any(file.endswith(".json") for file in files):
            raise data_error(
                f"{config['tables']['encoders']}, row '{name}'",
                "a published encoder has sizes",
                expected=f"a preset of convert_encoder, or a config.json among the files of checkpoint '{row['checkpoint']}'",
                got="neither",
                remedy="name a preset, or add the file",
            )


def _check_tasks(rows, config):
    """Names are free, seeds differ, labels are columns of the corpus, and the metric can judge them."""
    for table in ("tasks", "superb_tasks"):
        for name, row in rows[table].items():
            _check_task(f"{config['tables'][table]}, row '{name}'", name, row)
            columns = rows["corpora"][row["corpus"]]["label_columns"].split(",")
            for label in row["labels"]:
                if label not in columns:
                    whose = f"'labels' names label_columns of corpus '{row['corpus']}' in {config['tables']['corpora']}"
                    raise _unknown(f"{config['tables'][table]}, row '{name}'", whose, label, columns)


def _check_task(place, name, row):
    if name in PLACES or name == "plots":
        raise data_error(
            place,
            "results of a task are in a folder of its name",
            expected=f"none of {[*PLACES, 'plots']}",
            got=f"'{name}'",
            remedy="rename the task",
        )
    if len(set(map(int, row["seeds"]))) < len(row["seeds"]):
        raise data_error(
            place,
            "each seed is another run",
            expected="different numbers in 'seeds'",
            got=", ".join(row["seeds"]),
            remedy="remove the repeated",
        )
    if row["labels"][0].endswith("[]") and {"f1", "eer"} & set(row.get("metric", ())):
        raise data_error(
            place,
            "f1 and eer are of classes",
            expected="a metric of sequences for labels that are one (name[])",
            got=", ".join(row["metric"]),
            remedy="name wer, cer, slot_type_f1, slot_value_cer or accuracy",
        )


def _check_layers(rows, config):
    """A codebook reads a layer that its encoder has (log-Mel: 0), as far as a preset says how many these are."""
    for name, row in rows["codebooks"].items():
        encoder = rows["encoders"].get(row["encoder"])
        preset = config[encoder["recipe"]].get(encoder["preset"], {}) if encoder and encoder["preset"] else {}
        sizes = preset.get("sizes", preset)
        if encoder and encoder["architecture"] == "log_mel":
            sizes = dict(num_layers=0)
        num_layers = sizes["num_layers"] * sizes.get("num_repeats", 1) if "num_layers" in sizes else None
        if num_layers is not None and int(row["layer"]) > num_layers:
            raise data_error(
                f"{config['tables']['codebooks']}, row '{name}'",
                f"'layer' is one of encoder {row['encoder']}",
                expected=f"0 to {num_layers}",
                got=row["layer"],
                remedy="correct the cell, or the preset of the encoder",
            )


def _check_superb_tasks(rows, config):
    """Heads can say what a task's kind asks for, encoders have blocks, and a warm start is from the same head."""
    tasks, heads = rows["superb_tasks"], config["superb_heads"]
    for name, row in tasks.items():
        place = f"{config['tables']['superb_tasks']}, row '{name}'"
        head, architecture = heads[row["head"]]["head"], rows["encoders"][row["encoder"]]["architecture"]
        if head["architecture"] not in HEADS_OF[row["kind"]]:
            fitting = [preset for preset, each in heads.items() if each["head"]["architecture"] in HEADS_OF[row["kind"]]]
            raise data_error(
                place,
                f"'head' names a preset that can say what {row['kind']} asks for",
                expected=f"one of {fitting}",
                got=f"'{row['head']}'",
                remedy="correct 'head' or 'kind'",
            )
        if architecture not in WITH_BLOCKS:
            raise data_error(
                place,
                "'encoder' names an encoder with transformer blocks",
                expected=f"an architecture of {list(WITH_BLOCKS)}",
                got=f"'{row['encoder']}', a {architecture}",
                remedy="name another encoder",
            )
        first = tasks.get(row["warm_start"], row)
        if (first["kind"], heads[first["head"]]["head"]) != (row["kind"], head):
            raise data_error(
                place,
                "a warm start is from a task of the same kind and head",
                expected=f"a {row['kind']} with head {row['head']}",
                got=f"'{row['warm_start']}', a {first['kind']} with {first['head']}",
                remedy="name another task, or empty 'warm_start'",
            )


def _check_named(rows, config):
    """What config.yaml names is there: tasks and encoders that are compared, these with units, the probe's corpus and label."""
    probe = config["probe_encoder"]
    corpora = rows["corpora"]
    named = [(f"config.{table}", name, rows[table]) for table in ("tasks", "superb_tasks", "encoders") for name in config[table]]
    named.append(("config.probe_encoder.corpus", probe["corpus"], corpora))
    for place, name, valid in named:
        if name not in valid:
            raise _unknown(place, "what is named must be there", name, valid, place.removeprefix("config."))
    columns = corpora[probe["corpus"]]["label_columns"].split(",")
    if probe["label"] not in columns:
        raise _unknown("config.probe_encoder.label", f"'label' is one of corpus '{probe['corpus']}'", probe["label"], columns)
    for encoder in compared_encoders(rows, config):
        if not encoder_codebook(encoder, rows):
            raise data_error(
                f"config.encoders, encoder '{encoder}'",
                "an encoder that is compared, or is the parent of one, has units",
                expected=f"a row of {config['tables']['codebooks']} on it",
                got="none",
                remedy="add one, or leave the encoder out",
            )


def _unknown(place, rule, value, valid, table=""):
    """The error about a name that is not in `valid`; table: the table of whose rows it is the name."""
    if renamed := new_name(f"{table}.{value}"):
        return renamed_error(place, "row", value, renamed)
    remedy = f"{nearest(value, valid)}correct it, or add what it names"
    return data_error(
        place,
        rule,
        expected=one_of(value, valid),
        got=f"'{value}'",
        remedy=remedy,
    )
