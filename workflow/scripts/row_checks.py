"""Check the rows of config/ against each other and against the presets, before anything runs."""

from evaluation.metrics import METRICS
from storage.errors import data_error, nearest, one_of
from workflow.scripts.architectures import architectures_with, constants
from workflow.scripts.comparisons import compared_encoders, encoder_codebook
from workflow.scripts.renamed_keys import new_name, renamed_error
from workflow.scripts.result_paths import COMPARED_TABLES, COMPARISONS, RESULT_FOLDERS

# Architectures with transformer blocks, which tasks of SUPERB can read and tune.
WITH_BLOCKS = architectures_with("load_trunk")
# Architectures that pruning, factorizing and distilling keep.
SHRINKABLE = architectures_with("OBJECTIVE")
# Kind of a SUPERB task → architectures of heads that can answer it.
HEADS_OF = dict(
    dict.fromkeys(("KS", "IC", "SID"), ("mean_pooling",)),
    **dict.fromkeys(("ASR", "PR", "SF"), ("linear_ctc", "recurrent_ctc")),
    SD=("diarization",),
)
REFERENCES = (  # table, column, table whose rows the column names
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
PRESETS = (  # table, column, cells that the rows must have, section of the config with the presets
    ("encoders", "preset", dict(recipe="fit_log_mel"), "fit_log_mel"),
    ("encoders", "preset", dict(recipe="pretrain_melhubert"), "pretrain_melhubert"),
    ("encoders", "preset", dict(recipe="distil_layers"), "distil_layers"),
    ("encoders", "preset", dict(recipe="convert_encoder"), "convert_encoder"),
    ("encoders", "preset", dict(recipe="prune_weights"), "prune_weights"),
    ("encoders", "preset", dict(recipe="prune_heads"), "prune_heads"),
    ("encoders", "preset", dict(recipe="prune_rows"), "prune_rows"),
    ("encoders", "preset", dict(recipe="prune_layers"), "prune_layers"),
    ("encoders", "preset", dict(recipe="factorize_layers"), "factorize_layers"),
    ("encoders", "preset", dict(recipe="distil_posteriors"), "distil_posteriors"),
    ("ulms", "preset", dict(published=False), "pretrain_ulm"),
    ("ulms", "preset", dict(published=True, from_transformers=False), "convert_ulm"),
    ("ulms", "preset", dict(from_transformers=True), "convert_causal_lm"),
    ("tasks", "tuning", {}, "tune_prompt"),
    ("tasks", "sampling", {}, "sample"),
    ("superb_tasks", "tuning", {}, "tune_encoder"),
    ("superb_tasks", "head", {}, "superb_heads"),
)


def check_rows(rows, config):
    """Check that every row names only things that exist, and that no row is bound to fail later.

    Args:
        rows: dict from the name of each table to its completed `Table`.
        config: the merged config.

    Raises:
        ValueError: if a row is wrong. The message is about the first one, with its file and the nearest valid name.
    """
    _check_references(rows)
    _check_presets(rows, config)
    _check_parents(rows["encoders"])
    _check_published_sizes(rows)
    _check_layers(rows, config)
    _check_codebooks_together(rows["codebooks"], config["codebooks_together"])
    _check_tasks(rows)
    _check_initial_prompts(rows, config)
    _check_superb_tasks(rows, config["superb_heads"])
    _check_names_in_config(rows, config)
    _check_probe(rows["corpora"], config["probe_encoder"])
    _check_compared_encoders(rows, config)


def check_seeds(seeds, place):
    """Check a list of seeds. Raises `ValueError` if a seed is repeated, because each seed is another run."""
    if len({int(seed) for seed in seeds}) < len(seeds):
        raise data_error(
            place,
            "each seed must be another run",
            expected="different numbers in 'seeds'",
            got=", ".join(seeds),
            remedy="remove the repeated one",
        )


def _check_references(rows):
    """Check that every name in a column that refers to a table is the name of a row of that table."""
    for table, column, target in REFERENCES:
        for name, row in rows[table].items():
            values = row[column] if isinstance(row[column], list) else [row[column]]
            for value in filter(None, values):
                if value not in rows[target]:
                    rule = f"'{column}' must name a row of {rows[target].where()}"
                    raise _unknown_row(rows[table].place(name), rule, value, rows[target])


def _check_presets(rows, config):
    for table, column, cells, section in PRESETS:
        for name, row in rows[table].items():
            if row[column] and row[column] not in config[section] and cells.items() <= row.items():
                raise _unknown_preset(rows[table].place(name), column, row[column], section, config[section])


def _check_parents(encoders):
    """Check that no encoder is its own ancestor, and that encoders keep the architecture and pseudo-labels of their parents."""
    for name, row in encoders.items():
        ancestors = _ancestors(name, encoders)
        if not ancestors:
            continue
        architecture = encoders[row["parent"]]["architecture"]
        if row["architecture"] in SHRINKABLE and row["architecture"] != architecture:
            raise data_error(
                encoders.place(name),
                "an encoder must have the architecture of its parent",
                expected=architecture,
                got=row["architecture"],
                remedy="correct 'architecture' or 'parent'",
            )
        targets_of_ancestors = [encoders[ancestor]["targets"] for ancestor in ancestors if encoders[ancestor]["targets"]]
        if row["targets"] and targets_of_ancestors and row["targets"] != targets_of_ancestors[0]:
            raise data_error(
                encoders.place(name),
                "an encoder must keep predicting the pseudo-labels of its parent",
                expected=", ".join(targets_of_ancestors[0]),
                got=", ".join(row["targets"]),
                remedy="correct 'targets'",
            )


def _ancestors(name, encoders):
    """Return the parent of an encoder, the parent of that one, and so on."""
    line = [name]
    while parent := encoders[line[-1]]["parent"]:
        line.append(parent)
        if parent in line[:-1]:
            raise data_error(
                encoders.place(name),
                "an encoder must not be its own ancestor",
                expected="a line of parents that ends",
                got=" ← ".join(line),
                remedy="change 'parent' in one of these rows",
            )
    return line[1:]


def _check_published_sizes(rows):
    """Check that a published encoder has sizes, from a preset or from a config.json with its weights."""
    for name, row in rows["encoders"].items():
        files = rows["checkpoints"][row["checkpoint"]]["files"] if row["checkpoint"] else []
        if files and not row["preset"] and not any(file.endswith(".json") for file in files):
            raise data_error(
                rows["encoders"].place(name),
                "a published encoder must have sizes",
                expected=f"a preset of convert_encoder, or a config.json among the files of checkpoint '{row['checkpoint']}'",
                got="neither",
                remedy="fill in 'preset', or add the file",
            )


def _check_layers(rows, config):
    """Check that a codebook reads a layer that its encoder has, if the number of layers is known. Log-Mel has only layer 0."""
    for name, row in rows["codebooks"].items():
        if not row["encoder"]:
            continue
        num_layers = _num_layers(rows["encoders"][row["encoder"]], config)
        if num_layers is not None and int(row["layer"]) > num_layers:
            raise data_error(
                rows["codebooks"].place(name),
                f"'layer' must be a layer of encoder {row['encoder']}",
                expected=f"0 to {num_layers}",
                got=row["layer"],
                remedy="correct 'layer', or the preset of the encoder",
            )


def _check_codebooks_together(codebooks, sets):
    """Check that codebooks whose units are made together read the same frames, and that each is in one set alone."""
    place = "config.codebooks_together"
    seen = set()
    for names in sets:
        for name in names:
            if name not in codebooks:
                rule = f"'codebooks_together' must list rows of {codebooks.where()}"
                raise _unknown_row(place, rule, name, codebooks)
        frames = {f"{codebooks[name]['encoder']}, layer {codebooks[name]['layer']}" for name in names}
        if len(frames) > 1:
            raise data_error(
                place,
                "codebooks whose units are made together must read the same layer of the same encoder",
                expected=f"one encoder and one layer for {', '.join(names)}",
                got="; ".join(sorted(frames)),
                remedy="make a set for each layer",
            )
        if repeated := sorted(seen & set(names)):
            raise data_error(
                place,
                "a codebook must be in one set",
                expected="each name once",
                got=f"'{repeated[0]}' in two sets",
                remedy="put the sets together",
            )
        seen |= set(names)


def _num_layers(encoder, config):
    """Return the number of layers that the architecture or the preset of an encoder gives, or None."""
    fixed = constants("NUM_LAYERS")
    if encoder["architecture"] in fixed:
        return fixed[encoder["architecture"]]
    if not encoder["preset"]:
        return None
    preset = config[encoder["recipe"]].get(encoder["preset"], {})
    if "kept_layers" in preset:
        return len(preset["kept_layers"])
    sizes = preset.get("sizes", preset)
    return sizes["num_layers"] * sizes.get("num_repeats", 1) if "num_layers" in sizes else None


def _check_tasks(rows):
    """Check that names of tasks are free, seeds differ, labels are columns of the corpus, and the metric fits the labels."""
    for table in ("tasks", "superb_tasks"):
        for name, row in rows[table].items():
            place = rows[table].place(name)
            _check_task_name(name, place)
            check_seeds(row["seeds"], place)
            _check_metric(row, place)
            columns = rows["corpora"][row["corpus"]]["label_columns"].split(",")
            for label in row["labels"]:
                if label not in columns:
                    rule = f"'labels' must name label_columns of corpus '{row['corpus']}' in {rows['corpora'].where()}"
                    raise _unknown_name(place, rule, label, columns, "add the column")


def _check_initial_prompts(rows, config):
    """Check that prompts that start from those of pseudo-tasks are used on unit LMs that have learned pseudo-tasks."""
    for name, row in rows["tasks"].items():
        ulm = rows["ulms"][row["ulm"]]
        initialization = config["tune_prompt"][row["tuning"]]["prompt"]["initialization"]
        if not initialization.startswith("pseudo") or not ulm["preset"]:
            continue
        has_pseudo_tasks = not ulm["published"] and config["pretrain_ulm"][ulm["preset"]]["pseudo_tasks"]["num_tasks"] > 0
        if not has_pseudo_tasks:
            raise data_error(
                rows["tasks"].place(name),
                f"'tuning' {row['tuning']} starts from the prompts of pseudo-tasks, which the unit LM must have learned",
                expected="a unit LM whose preset has pseudo_tasks.num_tasks above 0",
                got=f"'{row['ulm']}', a published unit LM" if ulm["published"] else f"'{row['ulm']}', preset {ulm['preset']}",
                remedy="write speechprompt into the column 'tuning', or choose another 'ulm'",
            )


def _check_task_name(name, place):
    taken = [*RESULT_FOLDERS, COMPARISONS, "plots"]
    if name in taken:
        raise data_error(
            place,
            "a task must not have the name of another folder of results/",
            expected=f"none of {taken}",
            got=f"'{name}'",
            remedy="rename the task",
        )


def _check_metric(row, place):
    """Check that classes have metrics of classes, and sequences those of sequences; accuracy suits both."""
    metrics = [metric for metric in row.get("metric", []) if metric != "accuracy"]
    are_sequences = row["labels"][0].endswith("[]")
    fitting = [name for name, metric in METRICS.items() if metric.open_answers == are_sequences or name == "accuracy"]
    if set(metrics) <= set(fitting):
        return
    if are_sequences:
        raise data_error(
            place,
            "f1 and eer are metrics of classes",
            expected="a metric of sequences, because the labels (name[]) are sequences",
            got=", ".join(metrics),
            remedy=f"write one of {', '.join(fitting)} into 'metric'",
        )
    raise data_error(
        place,
        "wer, cer and slot_… count errors inside sequences, and would let the model answer with several classes",
        expected=f"a metric of classes, because '{', '.join(row['labels'])}' holds one class per clip",
        got=", ".join(metrics),
        remedy=f"write one of {', '.join(fitting)} into 'metric'; labels that are sequences have [] after the name of the column",
    )


def _check_superb_tasks(rows, heads):
    """Check that the head can answer the kind of task, the encoder has blocks, and a warm start has the same kind and head."""
    tasks = rows["superb_tasks"]
    for name, row in tasks.items():
        head = heads[row["head"]]["head"]
        architecture = rows["encoders"][row["encoder"]]["architecture"]
        if head["architecture"] not in HEADS_OF[row["kind"]]:
            fitting = [preset for preset, part in heads.items() if part["head"]["architecture"] in HEADS_OF[row["kind"]]]
            raise data_error(
                tasks.place(name),
                f"'head' must name a preset that can answer {row['kind']}",
                expected=f"one of {fitting}",
                got=f"'{row['head']}'",
                remedy="correct 'head' or 'kind'",
            )
        if architecture not in WITH_BLOCKS:
            raise data_error(
                tasks.place(name),
                "'encoder' must name an encoder with transformer blocks",
                expected=f"an architecture out of {list(WITH_BLOCKS)}",
                got=f"'{row['encoder']}', a {architecture}",
                remedy="name another encoder",
            )
        if row["warm_start"] == name:
            raise data_error(
                tasks.place(name),
                "'warm_start' must name another task",
                expected="a task that does not start from itself",
                got=f"'{name}'",
                remedy=f"give the tuning '{row['tuning']}' a row of its own, or leave 'warm_start' empty",
            )
        start = tasks.get(row["warm_start"], row)
        if (start["kind"], heads[start["head"]]["head"]) != (row["kind"], head):
            raise data_error(
                tasks.place(name),
                "'warm_start' must name a task of the same kind and head",
                expected=f"a {row['kind']} task with head {row['head']}",
                got=f"'{row['warm_start']}', a {start['kind']} task with head {start['head']}",
                remedy="name another task, or leave 'warm_start' empty",
            )


def _check_names_in_config(rows, config):
    """Check that the tasks, encoders and corpora that the config names have rows, and sets names of their own."""
    for name in config["settings_of_corpora"]:
        if name not in rows["corpora"]:
            rule = f"'settings_of_corpora' must name rows of {rows['corpora'].where()}"
            raise _unknown_row("config.settings_of_corpora", rule, name, rows["corpora"])
    listed = [(table, table, config[table]) for table in COMPARED_TABLES]
    for comparison, names in config["comparisons"].items():
        table = next((table for table in COMPARED_TABLES if _has_rows(rows[table], names[0])), "tasks")
        listed.append((f"comparisons.{comparison}", table, names))
    for key, table, names in listed:
        for name in names:
            if not _has_rows(rows[table], name):
                rule = f"'{key}' must list rows of {rows[table].where()}"
                raise _unknown_row(f"config.{key}", rule, name, rows[table])
    for name in config["comparisons"]:
        if name in rows["tasks"]:
            raise data_error(
                "config.comparisons",
                "a set of tasks must not have the name of a task",
                expected="a name of its own",
                got=f"'{name}'",
                remedy="rename the set",
            )


def _has_rows(table, written_name):
    """Return whether a table has the rows that a name stands for."""
    return set(table.names_of(written_name)) <= set(table)


def _check_probe(corpora, probe):
    """Check that the linear probe reads a label column of a corpus."""
    if probe["corpus"] not in corpora:
        rule = f"'corpus' must name a row of {corpora.where()}"
        raise _unknown_row("config.probe_encoder.corpus", rule, probe["corpus"], corpora)
    if corpora[probe["corpus"]]["folds"]:
        raise data_error(
            "config.probe_encoder.corpus",
            "the linear probe needs a corpus with splits",
            expected="a corpus without folds",
            got=f"'{probe['corpus']}'",
            remedy="name another corpus",
        )
    columns = corpora[probe["corpus"]]["label_columns"].split(",")
    if probe["label"] not in columns:
        rule = f"'label' must name a label column of corpus '{probe['corpus']}'"
        raise _unknown_name("config.probe_encoder.label", rule, probe["label"], columns, "add the column")


def _check_compared_encoders(rows, config):
    for encoder in compared_encoders(rows, config):
        if not encoder_codebook(encoder, rows):
            raise data_error(
                f"config.encoders, encoder '{encoder}'",
                "an encoder that is compared, or the parent of one, must have units",
                expected=f"a row of {rows['codebooks'].where()} that reads the encoder",
                got="none",
                remedy="add one, or remove the encoder from 'encoders'",
            )


def _unknown_row(place, rule, name, table):
    """Return the error about a name that no row of a table has."""
    renamed = new_name(f"{table.name}.{name}")
    if renamed in table:
        return renamed_error(place, "row", name, renamed)
    return _unknown_name(place, rule, name, table, "add the row")


def _unknown_preset(place, column, value, section, valid):
    """Return the error about a preset that a section of the config does not have."""
    renamed = new_name(f"{section}.{value}")
    if renamed:
        return renamed_error(f"{place}, column '{column}'", "preset", value, renamed)
    rule = f"'{column}' must name a preset in section {section} of the config"
    return _unknown_name(place, rule, value, valid, "add the preset")


def _unknown_name(place, rule, value, valid, addition):
    """Return the error about an unknown name, with the nearest valid one."""
    return data_error(
        place,
        rule,
        expected=one_of(value, valid),
        got=f"'{value}'",
        remedy=f"{nearest(value, valid)}correct it, or {addition}",
    )
