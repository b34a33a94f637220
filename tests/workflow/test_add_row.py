"""Rows from the command line: what is appended, what is refused, what the user is told."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow.scripts import add_row, show_rows
from workflow.scripts.columns import columns_of, fill_in_defaults
from workflow.scripts.row_checks import PRESETS, REFERENCES
from workflow.scripts.rows import TABLES
from workflow.scripts.schema_checks import ROOT, load_schema

MINE = ["task=MINE", "corpus=commands", "labels=label", "ulm=tiny"]


@pytest.fixture
def tables(tmp_path):
    """Folder with copies of the tables of tests/config/."""
    for table in TABLES:
        (tmp_path / f"{table}.tsv").write_text((ROOT / f"tests/config/{table}.tsv").read_text())
    paths = {table: str(tmp_path / f"{table}.tsv") for table in TABLES}
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump(dict(tables=paths)))
    return tmp_path


@pytest.fixture
def add(tables, capsys):
    """A function (table, cells, …) → what the command prints; it fails if the row is refused."""

    def run(table, *arguments):
        configs = ["--configfile", str(ROOT / "tests/config/tiny.yaml"), "--configfile", str(tables / "tables.yaml")]
        add_row.main([table, *arguments, *configs])
        return capsys.readouterr().out

    return run


@pytest.fixture
def refusal(add, tables):
    """A function (table, cells, …) → the error; the table must stay as it is."""

    def run(table, *arguments):
        before = {path: path.read_bytes() for path in tables.iterdir()}
        with pytest.raises(SystemExit) as caught:
            add(table, *arguments)
        assert {path: path.read_bytes() for path in tables.iterdir()} == before
        return caught.value.code

    return run


@pytest.mark.slow
def test_the_next_steps_of_a_corpus_depend_on_its_labels(add):
    assert "results/corpora/a/page.html" in add("corpora", "corpus=a", "root=x", "adapter=folders", "label_columns=label")
    output = add("corpora", "corpus=b", "root=x", "adapter=folders")
    assert "snakemake --cores 2 results/TASK/predictions/b.parquet --configfile" in output and "page.html" not in output


def test_a_row_is_appended_with_defaults(add, tables):
    before = (tables / "tasks.tsv").read_text()
    output = add("tasks", *MINE)
    assert (tables / "tasks.tsv").read_text() == before + (
        "MINE\tcommands\tlabel\taccuracy\ttiny\tfreq\tprompt5\t1,2,3\t\tgreedy\n"
    )
    assert f"{tables / 'tasks.tsv'} has this row now:" in output
    header, row = output.splitlines()[2:4]
    assert header.split()[:3] == ["task", "corpus", "labels"] and row.index("commands") == header.index("corpus")
    assert "seeds = 1,2,3   (default)" in output and "corpus = commands\n" in output
    assert "Corpus whose training split" in output and "examples_per_class" not in output
    assert "snakemake --cores 2 results/MINE/acc.json --configfile " in output


@pytest.mark.slow
def test_a_dry_run_checks_and_shows_the_row_but_writes_nothing(add, refusal, tables):
    before = (tables / "tasks.tsv").read_text()
    assert "would get this row" in add("tasks", *MINE, "--dry-run")
    assert (tables / "tasks.tsv").read_text() == before
    assert "'corpus' must name a row of" in refusal(
        "tasks", "task=MINE", "corpus=comands", "labels=label", "ulm=tiny", "--dry-run"
    )


@pytest.mark.parametrize("cells, error", [
    (["task=MINE", "corpus=comands", "labels=label", "ulm=tiny"], "row 'MINE': 'corpus' must name a row of .*did you mean \"commands\"?"),
    (["task=MINE", "corpus=commands", "labels=lable", "ulm=tiny"], "'labels' must name label_columns of corpus 'commands'"),
    ([*MINE, "tuning=prompt_5"], "'tuning' must name a preset in section tune_prompt"),
    ([*MINE, "seeds=one"], "task 'MINE'.seeds: the text must have the right form; expected whole numbers, comma-separated, got 'one'"),
    ([*MINE, "seeds=1,1"], "row 'MINE': each seed must be another run"),
    ([*MINE, "verbalizer=frequency"], "task 'MINE'.verbalizer: the value must be known"),
    (["task=SCR", *MINE[1:]], "row 'SCR': each row must have a name of its own"),
    (["task=MY TASK", *MINE[1:]], "task 'MY TASK'.task: the text must have the right form"),
    (["task=MINE", "labels=label"], "row 'MINE': columns without a default need a cell; expected corpus: the name of a row of corpora.tsv; ulm: "),
    ([*MINE, "lables=label"], "the column must be known; expected one of .* got 'lables'; did you mean \"labels\"?"),
    ([*MINE, "labels"], "'labels': cells are given as column=cell"),
    ([*MINE, "corpus=large"], "column 'corpus': a column may be given only once"),
    ([*MINE, "labels="], "column 'labels': a column may be given only once"),
])  # fmt: skip
def test_a_wrong_row_is_refused(refusal, cells, error):
    assert re.search(error.replace("?", r"\?"), refusal("tasks", *cells))


@pytest.mark.parametrize(
    "cell, name", [("a\tb", "a tab"), ("a\nb", "a line break"), ("a\rb", "a line break"), ('"a"', "a quotation mark")]
)
def test_cells_that_would_break_the_table_are_refused(refusal, cell, name):
    text = refusal("corpora", "corpus=mine", "root=/data/mine", f"where={cell}")
    assert "a cell is text without tabs, line breaks and quotation marks" in text and f"got {name} in " in text


@pytest.mark.slow
def test_a_last_line_without_an_end_and_line_ends_of_windows_stay_valid(add, tables):
    path = tables / "tasks.tsv"
    path.write_bytes(path.read_text().removesuffix("\n").replace("\n", "\r\n").encode())
    add("tasks", *MINE)
    assert path.read_bytes().endswith(b"\r\nMINE\tcommands\tlabel\taccuracy\ttiny\tfreq\tprompt5\t1,2,3\t\tgreedy\r\n")
    add("tasks", "task=MINE_2", *MINE[1:])


@pytest.mark.slow
def test_another_file_is_made_and_the_config_must_name_it(add, refusal, tables):
    file = str(tables / "mine.tsv")
    output = add("tasks", *MINE, "--table", file)
    header, row = Path(file).read_text().splitlines()
    assert header.split("\t")[0] == "task" and row.split("\t")[0] == "MINE"
    assert f"name {file} in a config file, as tables: {{tasks: [config/tasks.tsv, {file}]}}" in output
    add("tasks", "task=MINE_2", *MINE[1:], "--table", file)
    assert len(Path(file).read_text().splitlines()) == 3
    assert "got 'MINE' here and in " in refusal("tasks", *MINE, "--table", file)


@pytest.mark.parametrize("cells, expected", [
    ("corpus=mine root=/data", dict(adapter="table", metadata="metadata.csv", path_column="path", speaker_column="speaker")),
    ("corpus=mine root=/data adapter=folders", dict(metadata="", path_column="", split_column="")),
    ("corpus=mine root=/data split_column=", dict(split_column="", path_column="path")),
])  # fmt: skip
def test_defaults_depend_on_other_cells(cells, expected):
    row = fill_in_defaults("corpora", dict(cell.split("=") for cell in cells.split()))
    assert row.items() >= expected.items()


def test_a_published_unit_lm_has_no_seeds():
    assert fill_in_defaults("ulms", dict(ulm="x", codebook="y", checkpoint="z", preset="gslm"))["seeds"] == ""
    assert fill_in_defaults("ulms", dict(ulm="x", codebook="y", corpora="c"))["seeds"] == "1"


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_described(table, capsys):
    schema = load_schema(ROOT / f"workflow/schemas/{table}.schema.yaml")
    assert list(schema["properties"]) == schema["required"]
    add_row.main([table])
    output = capsys.readouterr().out
    for column in columns_of(table):
        assert f"\n{column.name}   [" in output and column.meaning.endswith(".") and column.cells
    for source, column, target in REFERENCES:
        assert source != table or f" of {target}.tsv" in {c.name: c.cells for c in columns_of(table)}[column]
    for source, column, _, section in PRESETS:
        assert source != table or section in {c.name: c.cells for c in columns_of(table)}[column]


def test_without_a_table_the_tables_are_listed(capsys):
    add_row.main([])
    output = capsys.readouterr().out
    assert all(f"\n{table}\n" in output for table in TABLES)


def test_rows_are_shown_with_aligned_columns(tables):
    configs = [ROOT / "tests/config/tiny.yaml", tables / "tables.yaml"]
    text = show_rows.show_rows("tasks", ["SCR", "DSR*"], configs)
    file, header, *rows = text.splitlines()
    assert file == f"# {tables / 'tasks.tsv'}" and [row.split()[0] for row in rows] == ["SCR", "DSR", "DSR_beam"]
    assert "examples_per_class" not in header
    assert all(row[header.index("ulm") :].startswith("tiny ") for row in rows)
    with pytest.raises(ValueError, match="table tasks: a row must have the name; .* got 'SRC'; did you mean \"SCR\"?"):
        show_rows.show_rows("tasks", ["SRC"], configs)


@pytest.mark.slow
def test_the_command_starts_without_pytorch():
    code = "import sys; from workflow.scripts import add_row, show_rows; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    help_text = subprocess.run(
        [sys.executable, "-m", "workflow.scripts.add_row", "--help"], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert "--dry-run" in help_text and "--table FILE" in help_text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_row_is_replaced_in_its_place(add, tables, newline):
    path = tables / "tasks.tsv"
    path.write_bytes(path.read_text().replace("\n", newline).encode())
    before = path.read_bytes().decode().split(newline)
    add("tasks", "--replace", "task=SCR_large", "corpus=large", "labels=label", "ulm=tiny", "seeds=7")
    after = path.read_bytes().decode().split(newline)
    [changed] = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert before[changed].startswith("SCR_large\t") and "\t7\t" in after[changed]


def test_a_row_that_is_not_there_cannot_be_replaced(refusal):
    message = refusal("tasks", "--replace", "task=SCR_lage", "corpus=large", "labels=label", "ulm=tiny")
    assert "a row that is replaced must be there" in message and 'did you mean "SCR_large"?' in message
