"""The tables of config/: a wrong row, cell or name is refused with its file and row."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from speech2unit.encoders import architecture_names, import_architecture
from speech2unit.recipes.compress_encoder import OBJECTIVES
from workflow.scripts import row_checks
from workflow.scripts import rows as config_rows
from workflow.scripts.architectures import architectures_with, constants
from workflow.scripts.config_files import default_config
from workflow.scripts.result_paths import unknown_file, unknown_name, unknown_paths

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow/schemas"


@pytest.fixture
def tables(tmp_path):
    """Copies of the tables of tests/config/, and the config that names them."""
    config = default_config()
    update_config(config, yaml.safe_load((ROOT / "tests/config/tiny.yaml").read_text()))
    for table in config_rows.TABLES:
        config["tables"][table] = str(tmp_path / f"{table}.tsv")
        (tmp_path / f"{table}.tsv").write_text((ROOT / "tests/config" / f"{table}.tsv").read_text())
    return config


def edit(config, table, old, new, count=1):
    path = Path(config["tables"][table])
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def row_refusal(config):
    with pytest.raises(ValueError) as caught:
        config_rows.read_rows(config, SCHEMAS)
    return str(caught.value)


def test_copies_are_valid(tables):
    assert "SCR" in config_rows.read_rows(tables, SCHEMAS)["tasks"]


@pytest.mark.parametrize("table, column, target", row_checks.REFERENCES)
def test_an_unknown_name_in_a_row_names_the_nearest(tables, table, column, target):
    path = Path(tables["tables"][table])
    header, *lines = path.read_text().splitlines()
    at = header.split("\t").index(column)
    number, cells = next((n, cells) for n, line in enumerate(lines) if (cells := line.split("\t"))[at])
    right = cells[at].split(",")[0]
    cells[at] = cells[at].replace(right, right + "x", 1)
    path.write_text("\n".join([header, *lines[:number], "\t".join(cells), *lines[number + 1 :]]))
    text = row_refusal(tables)
    assert text.startswith(f"{path}, row '{cells[0]}': '{column}' must name a row of {tables['tables'][target]}; ")
    assert f"got '{right}x'" in text and f'did you mean "{right}"? correct it, or add the row' in text


@pytest.mark.parametrize("table, row, section", [
    ("encoders", "published", "fit_log_mel"), ("encoders", "small", "pretrain_melhubert"), ("ulms", "small", "pretrain_ulm"),
    ("tasks", "prompt5_target", "tune_prompt"), ("superb_tasks", "deep_prompt10", "tune_encoder"), ("superb_tasks", "diarization", "superb_heads"),
    ("encoders", "tiny_cpc", "convert_encoder"), ("ulms", "tiny", "convert_ulm"),
])  # fmt: skip
def test_an_unknown_preset_names_the_nearest(tables, table, row, section):
    edit(tables, table, f"\t{row}", f"\t{row}x")
    text = row_refusal(tables)
    assert f" must name a preset in section {section} of the config" in text and f'did you mean "{row}"?' in text


def test_a_unit_lm_of_transformers_has_presets_of_its_own(tables):
    edit(tables, "ulms", "causal\tcpc_14\t\ttiny", "causal\tcpc_14\t\tgslm")
    text = row_refusal(tables)
    assert "row 'causal': 'preset' must name a preset in section convert_causal_lm of the config; expected one of" in text


def test_a_root_may_begin_at_home(tables, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    edit(tables, "corpora", "\tbad_audio\t", "\t~/mine\t")
    assert config_rows.read_rows(tables, SCHEMAS)["corpora"]["bad"]["root"] == "/home/ann/mine"


@pytest.mark.parametrize("table, name, right", [("tasks", "SCR_lage", "SCR_large"), ("superb_tasks", "SD_lore8", "SD_lora8")])
def test_an_unknown_task_of_the_config_names_the_nearest(tables, table, name, right):
    tables[table] = [name]
    text = row_refusal(tables)
    assert text.startswith(f"config.{table}: ") and f"got '{name}'; did you mean \"{right}\"?" in text


@pytest.mark.parametrize("old, new, place", [
    ("\tKS\t", "\tKWS\t", "kind"), ("\tlabel\t", "\tlabel,word\t", "labels"), ("\tlabel\t", "\tlabels[]\t", "labels"),
    ("\tlabels[]\t", "\tlabels\t", "labels"), ("\tactivity[]\t", "\tsegments[]\t", "labels"), ("\t0.5", "\t1.5", "fraction"),
    ("\t0.5", "\t0.0", "fraction"), ("\tlabel\t\t", "\tlabel\tletters\t", "lexicon"), ("\t1,2\t", "\tone\t", "seeds"),
])  # fmt: skip
def test_a_cell_of_a_superb_task_that_does_not_fit_its_kind_is_named(tables, old, new, place):
    edit(tables, "superb_tasks", old, new)
    text = row_refusal(tables)
    assert text.startswith(f"{tables['tables']['superb_tasks']}, ") and f"'.{place}: " in text


def test_labels_of_a_superb_task_are_columns_of_its_corpus(tables):
    edit(tables, "superb_tasks", "\tlabel\t", "\tlable\t")
    assert "'labels' must name label_columns of corpus 'commands' in " in (text := row_refusal(tables))
    assert 'did you mean "label"?' in text


@pytest.mark.parametrize("old, new, rule, got", [
    ("weighted_sum\tutterance", "weighted_sum\tcharacters", "'head' must name a preset that can answer KS", "'characters'"),
    ("lora8\tdiarization", "lora8\tutterance", "'head' must name a preset that can answer SD", "'utterance'"),
    ("melhubert\tlora8", "log_mel\tlora8", "'encoder' must name an encoder with transformer blocks", "'log_mel', a log_mel"),
    ("\tKS_weighted_sum\t", "\tSD_lora8\t", "'warm_start' must name a task of the same kind and head", "'SD_lora8', a SD task with head diarization"),
])  # fmt: skip
def test_a_superb_task_that_could_only_fail_when_it_runs_is_refused(tables, old, new, rule, got):
    edit(tables, "superb_tasks", old, new)
    text = row_refusal(tables)
    assert rule in text and f"got {got}; " in text


def test_what_architectures_declare_is_what_their_modules_have():
    modules = {name: import_architecture(name) for name in architecture_names()}
    for name in ("load", "load_trunk", "OBJECTIVE", "RECIPE"):
        assert architectures_with(name) == [architecture for architecture, module in modules.items() if hasattr(module, name)]
    assert constants("RECIPE") == dict(log_mel=modules["log_mel"].RECIPE, melhubert=modules["melhubert"].RECIPE)


def test_every_architecture_that_is_trained_further_names_an_objective():
    assert set(constants("OBJECTIVE").values()) <= set(OBJECTIVES)
    for name in architectures_with("OBJECTIVE"):
        assert hasattr(import_architecture(name), "load_trainable")


@pytest.mark.slow
def test_what_encoders_are_compared_by_must_be_there(tables):
    tables["encoders"] = ["melhuber"]
    text = row_refusal(tables)
    assert text.startswith("config.encoders: ") and "got 'melhuber'; did you mean \"melhubert\"?" in text
    tables["encoders"], tables["probe_encoder"]["label"] = ["melhubert"], "lable"
    text = row_refusal(tables)
    assert text.startswith("config.probe_encoder.label: ") and "expected one of ['label'], got 'lable'" in text
    tables["encoders"], tables["probe_encoder"]["label"] = ["melhubert_heads"], "label"
    text = row_refusal(tables)
    assert text.startswith("config.encoders, encoder 'melhubert_heads': ") and "expected a row of " in text
    add(tables, "codebooks", ["heads_16", "melhubert_heads", "1", "16", "0", "8", "commands", ""])
    config_rows.read_rows(tables, SCHEMAS)
    edit(tables, "codebooks", "melhubert_16\tmelhubert\t", "melhubert_16\tmelhubert_heads\t")
    assert row_refusal(tables).startswith(
        "config.encoders, encoder 'melhubert': an encoder that is compared, or the parent of one, must have units"
    )


def test_blanks_between_label_columns_are_no_part_of_their_names(tables):
    edit(tables, "corpora", "\tlabel\t", "\tword, label\t")
    assert {"word,label"} & {row["label_columns"] for row in config_rows.read_rows(tables, SCHEMAS)["corpora"].values()}


@pytest.mark.parametrize("table", config_rows.TABLES)
def test_a_name_stands_once(tables, table):
    path = Path(tables["tables"][table])
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    name = path.read_text().splitlines()[1].split("\t")[0]
    expected = (
        f"{path}, row '{name}': each row must have a name of its own; expected unique names, got '{name}' here and in {path}"
    )
    assert expected in row_refusal(tables)


def split_table(config, table):
    """Move the last row of a table to a second file; return both files as texts."""
    first = Path(config["tables"][table])
    second = first.with_name(f"more_{table}.tsv")
    header, *lines = first.read_text().splitlines()
    first.write_text("\n".join([header, *lines[:-1]]) + "\n")
    second.write_text("\n".join([header, lines[-1]]) + "\n")
    return [str(first), str(second)]


def test_a_table_may_be_several_files(tables):
    expected = config_rows.read_rows(tables, SCHEMAS)
    tables["tables"] = {table: split_table(tables, table) for table in tables["tables"]}
    assert config_rows.read_rows(tables, SCHEMAS) == expected


def test_errors_name_the_file_of_the_row_and_all_files_of_the_table(tables):
    first, second = tables["tables"]["tasks"] = split_table(tables, "tasks")
    name = Path(second).read_text().splitlines()[1].split("\t")[0]
    edit(tables | dict(tables=dict(tasks=second)), "tasks", "\tcommands\t", "\tcomands\t")
    assert row_refusal(tables).startswith(f"{second}, row '{name}': 'corpus' must name a row of ")
    tables["tasks"] = ["SRC"]
    edit(tables | dict(tables=dict(tasks=second)), "tasks", "\tcomands\t", "\tcommands\t")
    assert row_refusal(tables).startswith(f"config.tasks: 'tasks' must list rows of {first} or {second}; ")


def test_a_name_in_two_files_is_refused_with_both_places(tables):
    first, second = tables["tables"]["tasks"] = split_table(tables, "tasks")
    header, row = Path(second).read_text().splitlines()
    Path(second).write_text("\n".join([header, row.replace(row.split("\t")[0], "SCR", 1)]))
    assert f"{second}, row 'SCR': each row must have a name of its own; " in (text := row_refusal(tables))
    assert f"got 'SCR' here and in {first}, row 'SCR'; rename one of them; to change a row, edit it in" in text


def test_a_table_that_is_not_there_is_named(tables):
    tables["tables"]["tasks"] = ["nowhere.tsv"]
    assert row_refusal(tables).startswith("nowhere.tsv: a table that the config names must exist; ")


@pytest.mark.parametrize("table", config_rows.TABLES)
def test_a_columns_name_must_be_known_and_none_may_lack(tables, table):
    path = Path(tables["tables"][table])
    text = path.read_text()
    second = text.split("\n")[0].split("\t")[1]
    path.write_text(text.replace(f"\t{second}", f"\t{second}x", 1))
    assert f"{second}x: the key must be known; expected one of [" in (message := row_refusal(tables))
    assert f'did you mean "{second}"?' in message
    path.write_text("\n".join("\t".join(line.split("\t")[:1] + line.split("\t")[2:]) for line in text.splitlines()))
    assert f"{path}: a table must have all columns; expected {second}, got no such columns; add them: sed -i " in row_refusal(
        tables
    )


@pytest.mark.parametrize("table", config_rows.TABLES)
@pytest.mark.parametrize("change", [lambda line: line + "\tmore", lambda line: line.rpartition("\t")[0]], ids=["more", "fewer"])
def test_a_row_has_as_many_cells_as_columns(tables, table, change):
    path = Path(tables["tables"][table])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], change(lines[1]), *lines[2:]]))
    assert row_refusal(tables).startswith(f"{path}, line 2: a row must have one cell per column; expected ")


def test_a_row_of_a_former_version_may_end_before_the_columns_that_came_later(tables):
    path = Path(tables["tables"]["corpora"])
    header, first, *others = path.read_text().splitlines()
    columns = yaml.safe_load((SCHEMAS / "corpora.schema.yaml").read_text())["properties"]
    later = header.partition("\tcodebook\t")[2].split("\t")
    assert all(columns[name].get("late") and columns[name]["default"] == "" for name in later), "new columns are `late`"
    whole = config_rows.read_rows(tables, SCHEMAS)["corpora"]
    path.write_text("\n".join([header, first.removesuffix("\t" * len(later)), *others]))
    assert config_rows.read_rows(tables, SCHEMAS)["corpora"] == whole


@pytest.mark.parametrize("table, old, new, place", [
    ("codebooks", "\t12\t", "\t0\t", "num_clusters"), ("codebooks", "\t12\t", "\t40000\t", "num_clusters"),
    ("codebooks", "\t12\t", "\t-5\t", "num_clusters"), ("codebooks", "\t0\t12", "\tsix\t12", "layer"),
    ("tasks", "\taccuracy\t", "\taccurcy\t", "metric"), ("tasks", "\tfreq\t", "\tfrequency\t", "verbalizer"),
    ("tasks", "\t1,2\t\t", "\t1;2\t\t", "seeds"), ("tasks", "\t1,2\t\t", "\t-1\t\t", "seeds"), ("tasks", "\tlabel\t", "\t\t", "labels"),
    ("tasks", "\tcer,wer\t", "\tcer,f1\t", "metric"), ("tasks", "\tgreedy\n", "\t\n", "sampling"),
    ("tasks", "SCR_large\t", "SCR large\t", "task"), ("tasks", "SCR_large\t", "../SCR\t", "task"),
    ("ulms", "\ntiny\t", "\ntíny\t", "ulm"),
    ("encoders", "\tlog_mel\t", "\tlogmel\t", "architecture"), ("corpora", "\ttable\t", "\ttabel\t", "adapter"),
    ("checkpoints", "\tkm.bin\t", "\t../km.bin\t", "files"), ("checkpoints", "tiny_km\t\t", "tiny_km\tftp://x/y\t", "address"),
    ("checkpoints", "\tkm.bin\t\t", "\tkm.bin\tabc\t", "sha256"), ("encoders", "\tpublished\t\t\t\n", "\tpublished\ttiny_cpc\t\t\n", "checkpoint"),
    ("codebooks", "\t0\t0\t\ttiny_km", "\t1\t0\t\ttiny_km", "context_frames"), ("ulms", "\ttiny\t\ttiny_lm", "\t\t\ttiny_lm", "preset"),
    ("ulms", "\tsmall\t1\t", "\tsmall\t\t", "seeds"), ("ulms", "\tsmall\t1\t", "\tsmall\tone\t", "seeds"), ("ulms", "\ttiny\t\ttiny_lm", "\ttiny\t1\ttiny_lm", "seeds"),
    ("corpora", "\t0.9\t", "\tfast\t", "speeds"), ("corpora", "\tbad_audio\t", "\t\t", "root"),
])  # fmt: skip
def test_a_cell_that_the_schema_forbids_is_named(tables, table, old, new, place):
    edit(tables, table, old, new)
    text = row_refusal(tables)
    assert text.startswith(f"{tables['tables'][table]}, ") and f"'.{place}: " in text


def test_each_file_of_a_checkpoint_has_its_hash_or_none(tables):
    edit(tables, "checkpoints", "\tkm.bin\t\t", f"\tkm.bin,more.bin\t-,{'0' * 64}\t")
    assert config_rows.read_rows(tables, SCHEMAS)["checkpoints"]["tiny_km"]["sha256"] == ["-", "0" * 64]
    edit(tables, "checkpoints", "\t-,0", "\t0")
    assert "row 'tiny_km': each file must have a SHA-256; expected 2 values, - for an unknown one, got 1" in row_refusal(tables)


def test_rows_say_whether_a_model_is_published(tables):
    rows = config_rows.read_rows(tables, SCHEMAS)
    published = {name for table in ("codebooks", "ulms") for name, row in rows[table].items() if row["published"]}
    assert published == {"cpc_14", "published", "causal"}
    assert [name for name, row in rows["ulms"].items() if row["from_transformers"]] == ["causal"]
    recipes = {name: row["recipe"] for name, row in rows["encoders"].items()}
    assert recipes == dict(
        log_mel="fit_log_mel", melhubert="pretrain_melhubert", melhubert_2="pretrain_melhubert", cpc="convert_encoder",
        melhubert_heads="prune_heads", melhubert_rows="prune_rows", melhubert_layers="prune_layers", melhubert_weights="prune_weights",
        melhubert_lowrank="factorize_layers", melhubert_distilled="distil_posteriors", distilalhubert="distil_layers",
    )  # fmt: skip


def add(config, table, *rows):
    path = Path(config["tables"][table])
    path.write_text(path.read_text() + "".join("\t".join(row) + "\n" for row in rows))


def child(name, parent, architecture="melhubert", **cells):
    row = dict(corpora="commands", targets="log_mel_12", preset="tiny", checkpoint="", parent=parent, recipe="prune_heads")
    return [name, architecture, *(row | cells).values()]


def test_seeds_of_a_unit_lm_multiply_it_and_its_tasks(tables):
    edit(tables, "ulms", "\tsmall\t1\t", "\tsmall\t3,5\t")
    rows = config_rows.read_rows(tables, SCHEMAS)
    assert {name: row["seed"] for name, row in rows["ulms"].items()} == {
        "tiny": "3", "tiny_seed5": "5", "published": "", "pieces": "1", "causal": ""
    }  # fmt: skip
    assert rows["tasks"]["SCR"]["ulm"] == "tiny" and rows["tasks"]["SCR_seed5"]["ulm"] == "tiny_seed5"
    assert rows["tasks"].expand_names(["SCR", "SCR_published"]) == ["SCR", "SCR_seed5", "SCR_published"]
    edit(tables, "tasks", "\ttiny\t", "\ttiny_seed5\t")
    tables["tasks"] = ["SCR"]
    rows = config_rows.read_rows(tables, SCHEMAS)
    assert rows["tasks"].expand_names(["SCR"]) == ["SCR"] and rows["tasks"]["SCR"]["ulm"] == "tiny_seed5"


def test_seeds_of_a_unit_lm_differ_and_give_free_names(tables):
    edit(tables, "ulms", "\tsmall\t1\t", "\tsmall\t3,03\t")
    assert "row 'tiny': each seed must be another run; " in row_refusal(tables)
    edit(tables, "ulms", "\tsmall\t3,03\t", "\tsmall\t3,5\t")
    edit(tables, "tasks", "SCR_large", "SCR_seed5")
    assert (
        "row 'SCR_seed5': each row must have a name of its own; expected unique names, got 'SCR_seed5' here and in "
        in row_refusal(tables)
    )


def test_an_encoder_is_not_its_own_ancestor(tables):
    add(tables, "encoders", child("a", "melhubert_heads"), child("b", "a"))
    config_rows.read_rows(tables, SCHEMAS)
    add(tables, "encoders", child("c", "e"), child("d", "c"), child("e", "d"))
    assert "row 'c': an encoder must not be its own ancestor; " in (text := row_refusal(tables)) and "got c ← e ← d ← c" in text


def test_what_is_made_of_a_transformer_keeps_its_architecture(tables):
    add(tables, "encoders", child("a", "cpc"))
    assert "row 'a': an encoder must have the architecture of its parent; expected cpc, got melhubert; " in row_refusal(tables)


def test_what_is_made_of_a_melhubert_goes_on_predicting_its_pseudo_labels(tables):
    add(tables, "encoders", child("a", "melhubert_distilled"))
    config_rows.read_rows(tables, SCHEMAS)
    add(tables, "encoders", child("b", "melhubert_distilled", targets="melhubert_16"))
    rule = "row 'b': an encoder must keep predicting the pseudo-labels of its parent; expected log_mel_12, got melhubert_16; "
    assert rule in row_refusal(tables)


@pytest.mark.parametrize("cells, place", [
    (dict(parent=""), "parent"), (dict(recipe=""), "parent"), (dict(corpora=""), "corpora"), (dict(preset=""), "preset"),
    (dict(checkpoint="tiny_cpc"), "checkpoint"), (dict(recipe="prune_head"), "recipe"), (dict(architecture="log_mel"), "architecture"),
    (dict(targets=""), "targets"), (dict(architecture="wav2vec2"), "targets"), (dict(recipe="distil_posteriors"), "targets"),
])  # fmt: skip
def test_a_row_with_a_parent_says_how_it_is_made(tables, cells, place):
    row = dict(architecture="melhubert", parent="melhubert") | cells
    add(tables, "encoders", child("a", **row))
    text = row_refusal(tables)
    assert (
        text.startswith(f"{tables['tables']['encoders']}, encoder 'a'.{place}: ")
        and "const" not in text
        and "minLength" not in text
    )


def test_comments_blank_lines_and_line_ends_of_windows_change_nothing(tables):
    expected = config_rows.read_rows(tables, SCHEMAS)
    for path in map(Path, tables["tables"].values()):
        header, *lines = path.read_text().splitlines()
        path.write_bytes("\r\n".join(["﻿" + header, "# a comment", "", *lines, ""]).encode())
    assert config_rows.read_rows(tables, SCHEMAS) == expected


@pytest.mark.parametrize("table, old, new, rule", [
    ("tasks", "\t1,2\t", "\t1,01\t", "each seed must be another run; expected different numbers in 'seeds', got 1, 01"),
    ("tasks", "\nSCR\t", "\nulm\t", "a task must not have the name of another folder of results/; expected none of ['corpora', "),
    ("tasks", "labels[]\twer", "labels[]\teer", "f1 and eer are metrics of classes; "),
    ("tasks", "\tlabel\taccuracy\t", "\tlabel\tcer,wer\t", "because 'label' holds one class per clip, got cer, wer; write one of accuracy, f1, eer into"),
    ("tasks", "\tspeechprompt\t", "\tprompt5\t", "'tuning' prompt5 starts from the prompts of pseudo-tasks, which the unit LM must have learned; "
     "expected a unit LM whose preset has pseudo_tasks.num_tasks above 0, got 'published', a published unit LM; write speechprompt "),
    ("codebooks", "\tmelhubert\t1\t", "\tmelhubert\t7\t", "'layer' must be a layer of encoder melhubert; expected 0 to "),
    ("codebooks", "\tlog_mel\t0\t", "\tlog_mel\t3\t", "'layer' must be a layer of encoder log_mel; expected 0 to 0, got 3"),
    ("encoders", "\ttiny_cpc\ttiny_cpc\t", "\t\ttiny_cpc\t", "a published encoder must have sizes; expected a preset of convert_encoder, or a config.json "),
    ("corpora", "\tbad_audio\t", "\t{dat}/bad\t", "a path may use the folders in `paths` of the config in braces; expected names out of ['checkpoints', "),
])  # fmt: skip
def test_what_could_only_fail_after_hours_is_refused_at_once(tables, table, old, new, rule):
    edit(tables, table, old, new)
    text = row_refusal(tables)
    assert text.startswith(f"{tables['tables'][table]}, row '") and rule in text


@pytest.mark.parametrize("path, table, name", [
    ("SCRR/acc.json", "tasks", "SCR"), ("units/melhubert_15/commands/units.parquet", "codebooks", "melhubert_16"),
    ("units/melhubert_16/comands/units.parquet", "corpora", "commands"), ("corpora/comands/manifest.parquet", "corpora", "commands"),
    ("encoders/melhubrt/config.json", "encoders", "melhubert"), ("features/melhubrt/layer1/x/y.parquet", "encoders", "melhubert"),
    ("ulm/tinny/model.safetensors", "ulms", "tiny"),
])  # fmt: skip
def test_a_path_with_an_unknown_name_is_told_from_others(tables, path, table, name):
    rows = config_rows.read_rows(tables, SCHEMAS)
    unknown = re.compile(unknown_paths(rows, tables))
    assert unknown.fullmatch(path)
    message = str(unknown_name(path, rows, tables))
    assert message.startswith(
        f"results/{path}: results are named after rows of {tables['tables'][table]}; expected one of ['{name}'"
    )
    assert f'did you mean "{name}"?' in message
    known = ["SCR/acc.json", "SCR/binarized", "units/melhubert_16/commands/plots/unit_usage.svg", "ulm/tiny/plots/training.svg",
             "units/melhubert_16/centroids.parquet", "features/melhubert/layer1/commands/1-of-2.parquet", "comparisons/SCR+DSR/summary.html"]  # fmt: skip
    assert not any(unknown.fullmatch(right) for right in known)


OUTPUTS = [
    "results/{task,SCR|DSR}/acc.json", "results/{task,SCR|DSR}/confusion.parquet", "results/{trained,(ulm/tiny)|SCR}/plots/training.svg",
    "results/{task,SCR|DSR}/predictions/{corpus,commands}.parquet", "results/ulm/{ulm,tiny}/model.safetensors",
]  # fmt: skip


@pytest.mark.parametrize("path, folder, got, remedy", [
    ("results/SCR/accc.json", "results/SCR/ one of ['acc.json', ", "'accc.json'", 'did you mean "acc.json"? correct the path; docs/'),
    ("results/DSR/training.parquet", "results/DSR/ one of ['confusion.parquet', 'acc.json']", "'training.parquet'", 'did you mean "confusion.parquet"?'),
    ("results/SCR/plot/training.svg", "results/SCR/ one of ['plots/training.svg', ", "'plot/training.svg'", 'did you mean "plots/training.svg"?'),
    ("results/ulm/tiny", "results/ulm/tiny/ one of ['", "the folder alone", "correct the path; docs/results_layout.md lists all files"),
])  # fmt: skip
def test_a_file_that_no_rule_makes_names_the_nearest(path, folder, got, remedy):
    message = str(unknown_file(path, OUTPUTS))
    assert message.startswith(f"{path}: no rule makes this file; expected in {folder}") and f"got {got}; {remedy}" in message
    made = ["results/SCR/acc.json", "results/ulm/tiny/plots/training.svg", "results/DSR/predictions/commands.parquet"]
    assert [unknown_file(right, OUTPUTS) for right in made] == [None] * 3


@pytest.mark.parametrize("path, got, remedy", [
    ("comparisons/SCR+DRS/summary.html", "got 'DRS'", 'did you mean "DSR"? correct the path'),
    ("comparisons/prompting/summary.html", "got 'prompting'", "add: --configfile config/experiments/prompting/config.yaml"),
    ("comparisons/mein/summary.html", "got 'mein'", 'did you mean "mine"? '),
    ("comparisons/KS_weighted_sum+SD/superb_summary.parquet", "got 'KS_weighted_sum'", "add: --config 'superb_tasks=[KS_weighted_sum, SD]'"),
    ("comparisons/log_mel/plots/encoders.svg", "got 'log_mel'", "add: --config 'encoders=[log_mel]'"),
    ("summary.html", "got no set", "write results/comparisons/SCR/summary.html"),
    ("superb/plots/methods.svg", "got no set", "write results/comparisons/KS_weighted_sum+KS_half_deep_prompt10/plots/methods.svg"),
    ("encoders/summary.parquet", "got no set", "write results/comparisons/melhubert/encoders_summary.parquet"),
])  # fmt: skip
def test_an_unknown_set_of_tasks_is_refused(tables, monkeypatch, path, got, remedy):
    monkeypatch.chdir(ROOT)
    tables["comparisons"] = dict(mine=["SCR", "DSR"])
    rows = config_rows.read_rows(tables, SCHEMAS)
    unknown = re.compile(unknown_paths(rows, tables))
    message = str(unknown_name(path, rows, tables))
    assert unknown.fullmatch(path) and got in message and remedy in message
    assert not unknown.fullmatch("comparisons/mine/summary.html") and not unknown.fullmatch(
        "comparisons/melhubert/plots/encoders.svg"
    )


def test_a_set_of_tasks_has_rows_and_a_name_of_its_own(tables):
    tables["comparisons"] = dict(mine=["SCR", "DRS"])
    assert re.search(r"config.comparisons.mine: .* got 'DRS'; did you mean \"DSR\"", row_refusal(tables))
    tables["comparisons"] = dict(mine=["log_mel", "melhubert"], own=["KS"])
    config_rows.read_rows(tables, SCHEMAS)
    tables["comparisons"] = dict(mine=["log_mel", "SCR"])
    assert "'comparisons.mine' must list rows of " in (text := row_refusal(tables)) and "encoders.tsv" in text
    tables["comparisons"] = dict(SCR=["DSR"])
    assert "config.comparisons: a set of tasks must not have the name of a task" in row_refusal(tables)


def test_the_old_name_of_a_row_or_preset_names_the_new_one(tables):
    rows = config_rows.read_rows(tables, SCHEMAS)
    message = str(unknown_name("superb/KS_half_prefix10/score.json", rows, tables))
    renamed = "the row has been renamed; expected 'KS_half_deep_prompt10', got 'KS_half_prefix10'; write 'KS_half_deep_prompt10' instead"
    assert message.endswith(renamed)
    tables["superb_tasks"] = ["KS_half_prefix10"]
    assert row_refusal(tables).startswith("config.superb_tasks: the row has been renamed; expected 'KS_half_deep_prompt10', ")
    edit(tables, "superb_tasks", "\tdeep_prompt10\t", "\tprefix10\t")
    assert "column 'tuning': the preset has been renamed; expected 'deep_prompt10', got 'prefix10'" in row_refusal(tables)


def test_an_old_preset_names_the_new_one(tables):
    edit(tables, "encoders", "\tpublished\t", "\tlevel\t")
    assert "column 'preset': the preset has been renamed; expected 'subtract_loudness', got 'level'" in row_refusal(tables)


def test_a_row_of_superb_tasks_is_a_task_for_each_tuning(tables):
    edit(tables, "superb_tasks", "\tdeep_prompt10\t", "\tdeep_prompt10, lora8\t")
    tables["superb_tasks"] = ["KS_half", "SD_lora8", "KS_half_lora8"]
    tasks = config_rows.read_rows(tables, SCHEMAS)["superb_tasks"]
    assert list(tasks) == ["KS_weighted_sum", "KS_half_deep_prompt10", "KS_half_lora8", "ASR_full", "SD_lora8"]
    assert tasks["KS_half_lora8"] == tasks["KS_half_deep_prompt10"] | dict(tuning="lora8")
    assert tasks.expand_names(tables["superb_tasks"]) == ["KS_half_deep_prompt10", "KS_half_lora8", "SD_lora8"]


@pytest.mark.parametrize("old, new, error", [
    ("\tdeep_prompt10\t", "\tlora8,lora8\t", "row 'KS_half': each row must have a name of its own; .* got 'KS_half_lora8' here and in .* row 'KS_half'; "),
    ("\tweighted_sum\t", "\thalf_deep_prompt10\t", "row 'KS_half': .* got 'KS_half_deep_prompt10' here and in .* row 'KS'; "),
    ("\tdeep_prompt10\t", "\t,\t", "superb_task 'KS_half'.tuning: .* expected presets of tune_encoder, comma-separated, got ','"),
    ("\tdeep_prompt10\t", "\tlora8,lora9\t", "row 'KS_half': 'tuning' must name a preset in section tune_encoder .* got 'lora9'; did you mean \"lora8\"?"),
    ("\tKS_weighted_sum\t", "\tKS_half_deep_prompt10\t", "row 'KS_half': 'warm_start' must name another task; .* got 'KS_half_deep_prompt10'"),
])  # fmt: skip
def test_a_wrong_tuning_in_the_list_of_a_superb_row_is_named(tables, old, new, error):
    edit(tables, "superb_tasks", old, new)
    assert re.search(error, row_refusal(tables))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_as_spreadsheets_write_them_are_the_same(tables, encoding, end):
    expected = config_rows.read_rows(tables, SCHEMAS)
    for table in config_rows.TABLES:
        path = Path(tables["tables"][table])
        lines = [
            "\t".join(f'"{cell}"' if "," in cell else f"{cell} " for cell in line.split("\t"))
            for line in path.read_text().splitlines()
        ]
        path.write_bytes((end.join(lines) + end).encode(encoding))
    assert config_rows.read_rows(tables, SCHEMAS) == expected


def test_a_table_in_another_encoding_says_what_to_type(tables):
    path = Path(tables["tables"]["corpora"])
    path.write_bytes(path.read_bytes().replace(b"bad_audio", b"m\xfcller"))
    text = row_refusal(tables)
    assert text.startswith(f"{path}: a text file must be in UTF-8; ") and "'müller' in CP1252" in text
    assert text.endswith(f"convert it with: iconv -f CP1252 -t UTF-8 '{path}' > converted && mv converted '{path}'")


@pytest.mark.slow
def test_a_root_may_be_decomposed_on_disk(tables, tmp_path):
    on_disk = tmp_path / unicodedata.normalize("NFD", "müller")
    on_disk.mkdir()
    edit(tables, "corpora", "\tbad_audio\t", f"\t{tmp_path}/müller\t")
    assert config_rows.read_rows(tables, SCHEMAS)["corpora"]["bad"]["root"] == str(on_disk)
