"""Provenance: every file of a job holds its record, which includes the inputs and costs of earlier jobs."""

import json

import pyarrow as pa
import pytest
import torch

from storage import provenance, tables
from storage.files import sha256, write_json
from storage.tables import field, schema
from storage.weights import save_config, save_tensors

TOY = schema("toys", field("name", pa.string(), "its name"), key=("name",), stage="make_toys")


def write(path, *names):
    tables.write(path, [dict(name=name) for name in names], TOY)


@pytest.fixture
def outputs(tmp_path):
    """Return the paths of a table, tensors and a config that one job wrote from one input."""
    write(tmp_path / "input.parquet", "a", "b")
    paths = [tmp_path / name for name in ("out.parquet", "out.safetensors", "out.json")]
    with provenance.running(
        job="logs/work.log", stage="x.work", settings=dict(seed=1), inputs=[tmp_path / "input.parquet", tmp_path]
    ):
        write(paths[0], "c")
        save_tensors(paths[1], dict(t=torch.ones(3)))
        save_config(paths[2], dict(size=3))
    return paths


def test_every_kind_of_file_holds_the_record(outputs, tmp_path):
    for path in outputs:
        about = provenance.read(path)
        assert about["stage"] == "x.work" and about["settings"] == dict(seed=1)
        assert about["inputs"] == {str(tmp_path / "input.parquet"): provenance.digest(tmp_path / "input.parquet")}
        assert about["versions"]["torch"] == torch.__version__.split("+")[0] and about["versions"]["python"].startswith("3.")
        (cost,) = about["history"].values()  # one job, however many outputs
        assert cost["stage"] == "x.work" and 0 <= cost["seconds"] < 60 and cost["peak_memory_mb"] > 10


def test_a_record_includes_the_costs_of_earlier_stages(outputs, tmp_path):
    with provenance.running(job="logs/more.log", stage="y.more", settings={}, inputs=outputs):
        write(tmp_path / "last.parquet", "d")
    history = provenance.read(tmp_path / "last.parquet")["history"]
    assert {job: cost["stage"] for job, cost in history.items()} == {"logs/work.log": "x.work", "logs/more.log": "y.more"}


def test_outside_of_a_job_a_record_holds_only_versions(tmp_path):
    write(tmp_path / "t.parquet", "a")
    about = provenance.read(tmp_path / "t.parquet")
    assert about.pop("checksum").startswith("sha256 with zeros here: ") and about.pop("format") == provenance.FORMAT
    assert about == dict(file="", stage=None, versions=provenance.versions(), history={})


def test_an_error_ends_the_job_too(tmp_path):
    with pytest.raises(RuntimeError), provenance.running(job="logs/x.log", stage="x", settings={}, inputs=[]):
        raise RuntimeError
    assert provenance.record()["stage"] is None


def test_a_job_refuses_inputs_that_their_stage_did_not_write(tmp_path):
    folder = tmp_path / "results/SCR"
    with provenance.running(job="logs/x.log", stage="x", settings={}, inputs=[]):
        write(folder / "a.parquet", "a")
        save_tensors(folder / "b.safetensors", dict(t=torch.ones(3)))
        save_config(folder / "c.json", dict(size=3))
    assert provenance.read(folder / "c.json")["file"] == "results/SCR/c.json"
    for path in folder.iterdir():
        provenance.check(path)
        data = path.read_bytes()
        wrongs = {data[:-1]: "checksum", b"": "an empty file", data.replace(b"s", b"t", 1): "checksum"}
        for wrong, got in wrongs.items():
            path.write_bytes(wrong)
            with (
                pytest.raises(ValueError, match=rf"{path.name}: a result must be what its stage wrote; .*{got}.*; delete it and"),
                provenance.running(job="logs/y.log", stage="y", settings={}, inputs=[path]),
            ):
                raise AssertionError
        other = tmp_path / "elsewhere/results/DSR" / path.name
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(data)
        assert provenance.find_problem(other) == f"a copy of results/SCR/{path.name}"


def test_a_job_refuses_inputs_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "FORMAT", 0)
    write(tmp_path / "results/a.parquet", "a")
    monkeypatch.undo()
    assert provenance.find_problem(tmp_path / "results/a.parquet") == "format 0 of another version of this project, not 1"
    write_json(tmp_path / "results/a.json", {})
    assert provenance.find_problem(tmp_path / "results/a.json").startswith("no checksum: the file is cut off, or ")


def test_files_other_than_results_have_no_problems(tmp_path):
    (tmp_path / "results").mkdir()
    for name in ("a.json", "results/metadata.csv"):
        (tmp_path / name).write_text("{}")
        assert provenance.find_problem(tmp_path / name) == ""


def test_files_without_a_record(tmp_path):
    write_json(tmp_path / "a.json", {})
    (tmp_path / "a.txt").write_text("text")
    assert provenance.read(tmp_path / "a.json") == provenance.read(tmp_path / "a.txt") == {}


def write_all(folder, job, number):
    """Write a table, tensors and a config with `number` as their content; apart from that, only their records differ."""
    with provenance.running(job=job, stage=job, settings=dict(seed=job), inputs=[]):
        write(folder / "out.parquet", str(number))
        save_tensors(folder / "out.safetensors", dict(t=torch.full((3,), number), u=torch.ones(2)))
        save_config(folder / "out.json", dict(dim=number))


@pytest.mark.parametrize("kind", ["parquet", "safetensors", "json"])
def test_the_digest_of_a_result_depends_on_its_content_alone(tmp_path, kind):
    folders = [tmp_path / name / "results" for name in "abc"]
    for folder, number in zip(folders, (1.0, 1.0, 2.0)):
        folder.mkdir(parents=True)
        write_all(folder, f"logs/{folder.parent.name}.log", number)
    a, b, c = (folder / f"out.{kind}" for folder in folders)
    assert provenance.digest(a) == provenance.digest(b) != provenance.digest(c) and sha256(a) != sha256(b)


def test_the_digest_of_a_table_does_not_depend_on_the_job_and_other_files_are_hashed(tmp_path):
    write(tmp_path / "a.parquet", "a")
    with provenance.running(job="logs/x.log", stage="x", settings={}, inputs=[]):
        write(tmp_path / "b.parquet", "a")
    write(tmp_path / "c.parquet", "c")
    a, b, c = (provenance.digest(tmp_path / f"{name}.parquet") for name in "abc")
    assert a == b != c and sha256(tmp_path / "a.parquet") != sha256(tmp_path / "b.parquet")
    (tmp_path / "a.txt").write_text("text")
    assert provenance.digest(tmp_path / "a.txt") == sha256(tmp_path / "a.txt")


def test_records_are_json(outputs):
    for path in outputs:
        assert json.loads(json.dumps(provenance.read(path))) == provenance.read(path)


def test_usage_adds_up_the_jobs_of_a_stage():
    jobs = dict(a=dict(stage="x", seconds=1.5, peak_memory_mb=90), b=dict(stage="x", seconds=2.25, peak_memory_mb=70))
    assert provenance.usage(jobs) == dict(x=dict(jobs=2, seconds=3.75, peak_memory_mb=90))
