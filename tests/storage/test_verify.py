"""`snakemake verify` names every result that is not what its stage wrote, and the stage to rerun."""

from pathlib import Path

import pyarrow as pa
import pytest

from speech2unit.corpora.schemas import REJECTED
from speech2unit.schemas import CENTROIDS
from storage import provenance, tables
from storage.files import atomic_folder, write_json
from storage.verify import missing_outputs, rule_of, verify
from storage.weights import save_config

MAKERS = [
    (r"results/(?P<a>x|y)/rejected\.parquet$", "results/{a}/rejected.parquet", "make_manifest", False),
    (r"results/(?P<a>\w+)/audio$", "results/{a}/audio", "synthesize_commands", False),
]


@pytest.fixture
def results(tmp_path, monkeypatch):
    """In the current folder: a table made from a CSV file, a config made from the table, and a folder of files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("a")
    job = dict(stage="speech2unit.corpora.make_manifest", settings={})
    with provenance.running(job="1", inputs=["a.csv"], **job):
        tables.write("results/x/rejected.parquet", [], REJECTED)
    with provenance.running(job="2", inputs=["results/x/rejected.parquet"], **job):
        save_config("results/x/config.json", dict(a=1))
    with atomic_folder("results/x/audio") as folder:
        (folder / "a.flac").write_text("a")
    return tmp_path


def report(capsys):
    """Return the error of `verify`, or what it prints if there is none."""
    try:
        verify(folder="results", makers=MAKERS)
    except ValueError as error:
        return str(error)
    return capsys.readouterr().out


def test_correct_results(results, capsys):
    text = report(capsys)
    assert "right  results/x/rejected.parquet  \n" in text and "no checksum of its own  results/x/audio/a.flac" in text
    assert text.endswith("4 files, 0 wrong\n")


def test_damage_names_the_stage(results, capsys):
    path = results / "results/x/rejected.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    text = report(capsys)
    assert text.startswith("results: results must be what their stages wrote; expected 4 correct files, got 1 wrong ones:\n")
    assert "rejected.parquet: another checksum than it was written with; snakemake --cores all --forcerun make_manifest" in text


def test_a_report_that_is_made_again_with_equal_figures_at_other_costs_is_no_other_source(results, capsys):
    job = dict(stage="ulm.summarize", settings={}, inputs=["results/x/acc.json"])

    def write_report(accuracy, seconds):
        costs = {"ulm.score": dict(seconds=seconds)}
        write_json("results/x/acc.json", dict(accuracy=accuracy, usage=costs, provenance=provenance.record("results/x/acc.json")))

    write_report(0.5, 1.0)
    with provenance.running(job="3", **job):
        save_config("results/x/summary.json", dict(a=1))
    write_report(0.5, 2.0)
    assert report(capsys).endswith("6 files, 0 wrong\n")
    write_report(0.6, 2.0)
    assert "results/x/summary.json: made from another results/x/acc.json" in report(capsys)


def test_a_result_that_is_older_than_its_source(results, capsys):
    tables.write("results/x/rejected.parquet", [dict(utterance_id="a", path="a", reason="a", detail="a")], REJECTED)
    assert "results/x/config.json: made from another results/x/rejected.parquet" in report(capsys)


def test_a_changed_source_and_all_results_of_it(results, capsys):
    (results / "a.csv").write_text("b")
    text = report(capsys)
    assert "rejected.parquet: made from another a.csv" in text and "config.json: made from another a.csv" in text


def test_a_table_with_another_schema(results, capsys):
    wrong = REJECTED.remove(3).append(tables.field("extra", pa.string(), "nothing"))
    tables.write("results/y/rejected.parquet", [], wrong.with_metadata(REJECTED.metadata))
    tables.write("results/y/other.parquet", [], CENTROIDS.with_metadata({**CENTROIDS.metadata, b"table": b"other"}))
    text = report(capsys)
    assert "2 wrong ones" in text and "results/y/rejected.parquet: table 'rejected' must have the columns of its schema" in text
    assert "results/y/other.parquet: a table without a schema" in text


def test_a_changed_file_in_a_folder_and_a_leftover_file(results, capsys):
    (results / "results/x/audio/a.flac").write_text("b")
    (results / "results/x/.config.json.1.tmp").touch()
    text = report(capsys)
    assert "SHA256SUMS: 1 changed or missing files, such as a.flac; snakemake --cores all --forcerun synthesize_commands" in text
    assert ".config.json.1.tmp: left by a killed job: delete it" in text


def test_a_missing_file_that_others_were_made_from_is_wrong(results, capsys):
    (results / "results/x/rejected.parquet").unlink()
    text = report(capsys)
    assert (
        "got 1 wrong ones:\n  results/x/rejected.parquet: missing, but other results were made from it, or by the same job; "
        in text
    )
    assert "snakemake --cores all --forcerun make_manifest results/x/rejected.parquet\n" in text


def test_missing_files_that_are_temporary_external_or_of_no_rule_are_not_wrong(results, capsys):
    (results / "a.csv").unlink()
    assert missing_outputs("results", MAKERS) == []
    (results / "results/x/rejected.parquet").unlink()
    assert missing_outputs("results", MAKERS) == ["results/x/rejected.parquet"]
    assert missing_outputs("results", [(*MAKERS[0][:3], True)]) == missing_outputs("results", []) == []
    (results / "results/x/config.json").write_text("{")
    assert missing_outputs("results", MAKERS) == []


def test_an_output_that_nothing_was_made_from_is_missing_if_another_one_of_its_job_is_there(results, capsys):
    siblings = [(r"results/(?P<a>\w+)/metadata\.csv$", "results/{a}/metadata.csv", "synthesize_commands", False)]
    siblings += [(r"results/(?P<a>\w+)/log\.txt$", "results/{a}/log.txt", "synthesize_commands", True)]
    assert missing_outputs("results", MAKERS + siblings) == ["results/x/metadata.csv"]
    (results / "results/x/metadata.csv").touch()
    assert missing_outputs("results", MAKERS + siblings) == []


def test_the_rule_of_a_file():
    paths = [Path("results") / name for name in ("y/rejected.parquet", "z/rejected.parquet", "z/audio/b/c.flac")]
    assert [rule_of(path, MAKERS) for path in paths] == ["make_manifest", "?", "synthesize_commands"]
