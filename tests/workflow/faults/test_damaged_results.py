"""Results that are cut, flipped, swapped or old: found by the stage that reads them, before it uses anything."""

import os
import shutil

import numpy as np
import pytest

from storage import provenance
from storage.files import damaged_files
from tests.workflow.faults.runs import ALL, content, restore

CUTS, FLIPS = (50, 200) if ALL else (5, 20)
KINDS = ("parquet", "safetensors", "json", "bin", "idx", "txt", "csv", "flac")
SWAPS = [("results/SCR/training.parquet", "results/ulm/tiny/training.parquet"), ("results/ulm/tiny/config.json", "results/DSR/config.json"),
         ("results/encoders/melhubert/model.safetensors", "results/encoders/log_mel/model.safetensors"),
         ("results/SCR/samples.parquet", "results/DSR/samples.parquet"), ("results/SCR/acc.json", "results/DSR/acc.json"),
         ("results/units/log_mel_12/centroids.parquet", "results/units/melhubert_16/centroids.parquet")]  # fmt: skip


@pytest.fixture(scope="module")
def results(project, tmp_path_factory):
    """A copy of the project's results, which may be damaged."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(project / "results", folder / "results")
    return folder


def files_of(results, kind):
    """A file of each name of a kind."""
    return list({path.name: path for path in sorted((results / "results").rglob(f"*.{kind}"))}.values())


def refusal(path):
    """What the job that reads this file says about it; empty where it would use it."""
    try:
        with provenance.running(job="logs/x.log", stage="x", settings={}, inputs=[path]):
            return ""
    except ValueError as error:
        return str(error)


def found(path):
    """Whether damage to a file is noticed, by the job that reads it, or by the sums of the folder that it lies in."""
    if path.suffix in provenance.KINDS:
        text = refusal(path)
        return (
            text.startswith(f"{path}: a result must be what its stage wrote; ")
            and "delete it and run the same command again" in text
        )
    folder = next(parent for parent in path.parents if (parent / "SHA256SUMS").exists())
    return damaged_files(folder) == [path.relative_to(folder).as_posix()]


def damaged_copies(data, rng):
    """Cut and flipped versions of a file's bytes."""
    for length in rng.integers(len(data), size=CUTS):
        yield data[:length]
    for bit in rng.integers(8 * len(data), size=FLIPS):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        yield bytes(wrong)


@pytest.mark.parametrize("kind", ["parquet", "safetensors", "json", "bin", "idx", "txt", "flac"])
def test_every_cut_and_every_flipped_bit_is_found(results, kind, record_property):
    injected = detected = 0
    rng, paths = np.random.default_rng(0), files_of(results, kind)
    for path in paths[:3] if kind == "flac" or not ALL else paths:
        data = path.read_bytes()
        for wrong in damaged_copies(data, rng):
            path.write_bytes(wrong)
            injected, detected = injected + 1, detected + found(path)
        path.write_bytes(data)
        assert refusal(path) == ""
    record_property("injected", injected)
    record_property("detected", detected)
    assert injected == detected >= CUTS + FLIPS


@pytest.mark.parametrize("source, target", SWAPS)
def test_a_file_of_another_task_is_found(results, source, target, tmp_path):
    copy = tmp_path / target
    copy.parent.mkdir(parents=True)
    shutil.copy(results / source, copy)
    assert f"got a copy of {source}; delete it" in refusal(copy)


@pytest.mark.parametrize("kind", ["parquet", "safetensors", "json"])
def test_a_file_of_another_version_is_found(results, kind, monkeypatch):
    monkeypatch.setattr(provenance, "FORMAT", provenance.FORMAT + 1)
    assert all("of another version of this project" in refusal(path) for path in files_of(results, kind))


@pytest.mark.skipif(not ALL, reason="only in make faults")
def test_the_run_stops_names_the_file_and_goes_on_when_it_is_deleted(project, new_project, record_property):
    damaged = new_project("damaged")
    restore(damaged, project)
    path, target = damaged / "results/SCR/binarized.parquet", "results/SCR/samples.parquet"
    expected, before, data = content(damaged / target), path.stat(), bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (damaged / target).unlink()
    output, status = damaged.snakemake("--cores", 1, "--", target, check=False)
    assert status and "results/SCR/binarized.parquet: a result must be what its stage wrote; " in output
    output, status = damaged.snakemake("--cores", 1, "verify", check=False)
    assert (
        status
        and "1 wrong ones" in output
        and "snakemake --cores all --forcerun binarize results/SCR/binarized.parquet" in output
    )
    path.unlink()
    damaged.snakemake(
        "--cores", 1, "--", target, "results/comparisons/SCR/summary.parquet"
    )  # the curve's seconds are others: all behind it
    assert content(damaged / target) == expected
    assert "files, 0 wrong" in (damaged.snakemake("--cores", 1, "verify") and (damaged / "logs/verify/verify.log").read_text())
    record_property("detected", 1)
    record_property("recovered", 1)
