"""Results on another file system and a corpus in S3, through Snakemake's storage plugins; the S3 is a server on this machine."""

import os

import numpy as np
import pandas
import pytest
import soundfile

from tests.workflow.conftest import fork_server, new_project  # noqa: F401  (fixtures)

UNITS = "results/units/log_mel_12/commands/units.parquet"
MANIFEST = "results/corpora/bad/manifest.parquet"


def test_results_lie_in_another_file_system(new_project, tmp_path):  # noqa: F811
    pytest.importorskip("snakemake_storage_plugin_fs", reason="`make slurm-test` installs the storage plugins")
    made = new_project()
    there = ("--default-storage-provider", "fs", "--default-storage-prefix", tmp_path / "store")
    made.snakemake("--cores", 2, *there, "--", UNITS)
    assert not (made / UNITS).exists() and (made / "results/corpora/commands/speech/metadata.csv").exists()
    other = new_project()
    other.snakemake("--cores", 2, "--", UNITS)
    assert pandas.read_parquet(tmp_path / "store" / UNITS).equals(pandas.read_parquet(other / UNITS))
    output, _ = made.snakemake("--cores", 2, *there, "--", UNITS)
    assert "Nothing to be done" in output


@pytest.fixture
def s3(monkeypatch):
    """A client of an S3 server on this machine, to which Snakemake is pointed."""
    pytest.importorskip("snakemake_storage_plugin_s3", reason="`make slurm-test` installs the storage plugins")
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    secrets = dict(access_key="key", secret_key="secret", endpoint_url=f"http://{host}:{port}")
    for name, value in secrets.items():
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name.upper()}", value)
    yield boto3.client(
        "s3",
        endpoint_url=secrets["endpoint_url"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    server.stop()


@pytest.fixture
def corpus(tmp_path):
    """A folder of 12 clips with their metadata."""
    rng, rows = np.random.default_rng(0), []
    for i in range(12):
        split = ("train", "train", "dev", "test")[i // 3]
        soundfile.write(tmp_path / f"{i:02d}.wav", rng.normal(size=4000) * 0.1, 16_000)
        rows.append(dict(path=f"{i:02d}.wav", split=split, speaker=f"{split}{i}", label="abc"[i % 3]))
    pandas.DataFrame(rows).to_csv(tmp_path / "metadata.csv", index=False)
    return tmp_path


def test_a_corpus_lies_in_s3(new_project, s3, corpus):  # noqa: F811
    made = new_project()
    s3.create_bucket(Bucket="speech")
    for name in os.listdir(corpus):
        s3.upload_file(str(corpus / name), "speech", f"corpora/bad/{name}")
    made.edit("tests/config/corpora.tsv", "bad\ttable\tbad_audio\t", "bad\ttable\ts3://speech/corpora/bad\t")
    assert made.planned("--", MANIFEST) == dict(fetch_corpus=1, make_manifest=1)
    made.snakemake("--cores", 1, "--", MANIFEST)
    fetched = {path.name for path in (made / "results/corpora/bad/fetched").iterdir()}
    assert fetched >= {path.name for path in corpus.iterdir()}
    output, _ = made.snakemake("--cores", 1, "--", MANIFEST)
    assert "Nothing to be done" in output
    other = new_project()
    (other / "bad_audio").symlink_to(corpus)
    other.snakemake("--cores", 1, "--", MANIFEST)
    assert pandas.read_parquet(made / MANIFEST).equals(pandas.read_parquet(other / MANIFEST))


def test_results_lie_in_s3(new_project, s3, corpus):  # noqa: F811
    made = new_project()
    (made / "bad_audio").symlink_to(corpus)
    there = ("--default-storage-provider", "s3", "--default-storage-prefix", "s3://results")
    made.snakemake("--cores", 1, *there, "--", MANIFEST)
    assert not (made / MANIFEST).exists()
    keys = {found["Key"] for found in s3.list_objects_v2(Bucket="results")["Contents"]}
    assert {MANIFEST, "results/corpora/bad/rejected.parquet"} <= keys
