"""A corpus with folds: the rows that stand for its folds, what is planned for a task on it, and what is refused."""

import re
from pathlib import Path

import pytest
import yaml

from workflow.scripts.config_files import load_config
from workflow.scripts.lookups.corpora import fold_settings, manifest_settings
from workflow.scripts.lookups.figures import task_figures
from workflow.scripts.result_paths import unknown_name, unknown_paths, wildcard_pattern
from workflow.scripts.rows import TABLES, read_rows

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "workflow/schemas"
SMALL = dict(
    corpus="small", adapter="table", root="small", metadata="metadata.csv", path_column="path", speaker_column="speaker",
    label_columns="label", speeds="0.9", allow_overlap="audio", folds="3",
)  # fmt: skip
ADDED = dict(  # table → rows; `own` is trained on the corpus, `tiny` is not
    corpora=[SMALL],
    encoders=[dict(encoder="own_mel", architecture="log_mel", corpora="small", preset="subtract_loudness")],
    codebooks=[dict(codebook="own", encoder="own_mel", layer="0", num_clusters="8", context_frames="0", num_components="0", corpora="small")],
    ulms=[
        dict(ulm="own", codebook="own", corpora="small", preset="small", seeds="1,4"),
        dict(ulm="lent_units", codebook="melhubert_16", corpora="small", preset="small", seeds="1"),
    ],
    tasks=[
        dict(task=task, corpus="small", labels="label", metric="accuracy", ulm=ulm, verbalizer="freq", tuning="prompt5", seeds="1", sampling="greedy")
        for task, ulm in (("LENT", "tiny"), ("OWN", "own"), ("LENT_UNITS", "lent_units"))
    ],
)  # fmt: skip


def write_tables(folder, added=ADDED, **cells):
    """Write the tables of tests/config/ with more rows into a folder, and a config that names them; `cells` are those of the corpus."""
    paths = {}
    for table in TABLES:
        header, *lines = (ROOT / f"tests/config/{table}.tsv").read_text().splitlines()
        rows = [row | (cells if row is SMALL else {}) for row in added.get(table, [])]
        lines += ["\t".join(row.get(column, "") for column in header.split("\t")) for row in rows]
        (folder / f"{table}.tsv").write_text("\n".join([header, *lines]) + "\n")
        paths[table] = str(folder / f"{table}.tsv")
    (folder / "folds.yaml").write_text(yaml.safe_dump(dict(tables=paths)))
    return load_config([ROOT / "tests/config/tiny.yaml", folder / "folds.yaml"])


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tables(tmp_path_factory.mktemp("folds"))


@pytest.fixture(scope="module")
def rows(config):
    return read_rows(config, SCHEMAS)


class Wildcards:
    def __init__(self, **values):
        self.__dict__.update(values)


def named(rows, table, start):
    return [name for name in rows[table] if re.fullmatch(rf"{start}(_\w+)?", name)]


def test_a_corpus_stays_and_its_folds_are_new_ones(rows):
    assert named(rows, "corpora", "small") == ["small", "small_fold1", "small_fold2", "small_fold3"]
    assert {rows["corpora"][name]["fold_of"] for name in named(rows, "corpora", "small")[1:]} == {"small"}
    assert rows["corpora"]["small"]["root"] == rows["corpora"]["small_fold2"]["root"] == "small"


def test_a_model_that_has_heard_the_recordings_is_refused(tmp_path):
    whole = {**SMALL, "corpus": "whole", "split_column": "split", "folds": ""}
    heard = dict(ulm="heard", codebook="melhubert_16", corpora="whole", preset="small", seeds="1")
    task = ADDED["tasks"][0] | dict(task="HEARD", ulm="heard")
    added = dict(corpora=[SMALL, whole], ulms=[heard], tasks=[task])
    message = "row 'HEARD': no model may have heard the test speakers of a fold; .*got 'heard', which is trained on 'whole'"
    with pytest.raises(ValueError, match=message):
        read_rows(write_tables(tmp_path, added), SCHEMAS)


def test_what_is_trained_on_the_corpus_is_trained_once_per_fold(rows):
    assert named(rows, "encoders", "own_mel") == ["own_mel_fold1", "own_mel_fold2", "own_mel_fold3"]
    codebook = rows["codebooks"]["own_fold2"]
    assert (codebook["encoder"], codebook["corpora"]) == ("own_mel_fold2", ["small_fold2"]) and "own" not in rows["codebooks"]
    ulm = rows["ulms"]["own_seed4_fold3"]
    assert (ulm["codebook"], ulm["corpora"], ulm["seed"]) == ("own_fold3", ["small_fold3"], "4")
    assert rows["ulms"]["lent_units_fold1"]["codebook"] == "melhubert_16" and "tiny_fold1" not in rows["ulms"]


def test_a_task_puts_those_of_its_folds_together(rows):
    assert rows["tasks"]["LENT"]["fold_tasks"] == ["LENT_fold1", "LENT_fold2", "LENT_fold3"]
    assert [rows["tasks"][name]["ulm"] for name in ("LENT_fold3", "OWN_fold3", "OWN_seed4_fold3")] == [
        "tiny",
        "own_fold3",
        "own_seed4_fold3",
    ]
    assert rows["tasks"]["LENT_fold3"]["corpus"] == "small_fold3" and rows["tasks"]["SCR"]["fold_tasks"] == []
    assert rows["tasks"].expand_names(["OWN", "SCR"]) == ["OWN", "OWN_seed4", "SCR"]
    assert "LENT" not in wildcard_pattern(rows["tasks"], fold_tasks=[]).split("|")


def test_settings_of_the_folds(rows, config):
    settings = dict(corpus="small_fold2", fold=2, num_folds=3, label_columns="label", allow_overlap=["audio"])
    assert fold_settings(rows, config, Wildcards(corpus="small_fold2")) == settings
    whole = manifest_settings(rows, config, Wildcards(corpus="small"))
    assert whole["num_folds"] == 3 and not {"folds", "fold", "fold_of"} & set(whole["corpus"])
    assert manifest_settings(rows, config, Wildcards(corpus="commands"))["num_folds"] == 0


def test_figures_are_those_of_the_first_fold_and_one_confusion_matrix(rows):
    figures = task_figures(rows, "OWN")
    assert "OWN/plots/confusion" in figures and "OWN_fold1/plots/confusion" not in figures
    assert {"OWN_fold1/plots/training", "units/own_fold1/small_fold1/plots/unit_usage", "ulm/own_fold1/plots/training"} <= set(
        figures
    )


@pytest.mark.parametrize("path, is_unknown", [
    ("LENT/bundle", True), ("LENT/predictions/commands.parquet", True), ("LENT/acc.json", False), ("LENT/plots/confusion.svg", False),
    ("LENT_fold1/bundle", False),
])  # fmt: skip
def test_what_only_a_fold_has_is_said(rows, config, path, is_unknown):
    assert bool(re.fullmatch(unknown_paths(rows, config), path)) == is_unknown
    if is_unknown:
        file = path.partition("/")[2]
        assert f"or a fold such as results/LENT_fold1/{file}, got '{file}'; name a fold" in str(unknown_name(path, rows, config))


@pytest.mark.parametrize("cells, message", [
    (dict(split_column="split"), "row 'small': folds take the place of splits; expected an empty cell 'split_column', got 'split'"),
    (dict(folds="1"), "corpus 'small'.folds: the text must have the right form; expected a whole number, 2 or more"),
    (dict(adapter="units", metadata="", path_column="", speaker_column="", source="a.csv", codebook="imported_9"), "folds are for corpora of audio"),
])  # fmt: skip
def test_a_corpus_that_can_have_no_folds_is_refused(tmp_path, cells, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rows(write_tables(tmp_path, **cells), SCHEMAS)


@pytest.mark.parametrize("table, row, message", [
    ("tasks", dict(ADDED["tasks"][1], task="OTHER", corpus="commands"), "row 'OTHER': what is trained on folds can be used with the corpus of these folds; expected a 'ulm' that"),
    ("superb_tasks", dict(superb_task="KS_small", kind="KS", corpus="small", labels="label", encoder="melhubert", tuning="lora8", head="utterance", seeds="1"), "row 'KS_small': SUPERB tasks have no folds; expected a 'corpus' that"),
    ("corpora", dict(SMALL, corpus="other", folds="4"), None),
])  # fmt: skip
def test_rows_that_folds_do_not_fit_are_refused(tmp_path, table, row, message):
    added = ADDED | {table: [*ADDED.get(table, []), row]}
    if message is None:
        added["ulms"] = [dict(ADDED["ulms"][1], ulm="both", corpora="small,other")]
        added["tasks"] = []
        message = "row 'both': corpora that are used together must have the same number of folds; expected one number in the column 'folds'"
    with pytest.raises(ValueError, match=re.escape(message)):
        read_rows(write_tables(tmp_path, added), SCHEMAS)


def test_one_target_plans_all_folds_and_features_once(new_project):
    made = new_project("folds")
    for name in ("small", "tables"):
        (made / name).mkdir()
    (made / "small/metadata.csv").write_text("path,speaker,label\n" + "".join(f"{s}.wav,{s},yes\n" for s in "abc"))
    write_tables(made / "tables")
    jobs = made.planned("results/LENT/acc.json", configs=("tests/config/tiny.yaml", made / "tables/folds.yaml"))
    assert jobs["make_fold"] == jobs["fold_units"] == jobs["tune_prompt"] == jobs["score"] == 3 and jobs["score_folds"] == 1
    assert jobs["make_manifest"] == 2 and jobs["pretrain_ulm"] == 1  # small and commands, which the unit LM is trained on
    encoded = 2 * load_config([ROOT / "tests/config/tiny.yaml"])["num_shards"]
    assert jobs["extract_features"] == encoded + encoded // 2  # commands by both encoders, small by one
