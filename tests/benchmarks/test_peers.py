"""Peers: idle stages, and random rows of units if the published ones are missing."""

from benchmarks.peers import gsc_units
from benchmarks.peers.idle import idle, imported_modules


def test_imports_of_a_stage_are_its_own_and_those_of_what_it_calls():
    assert {"pyarrow", "storage.tables"} <= imported_modules("speech2unit.reduce_units") and "torch" not in imported_modules(
        "speech2unit.reduce_units"
    )
    assert {"torch", "soundfile", "speech2unit.encoders.architectures.melhubert"} <= imported_modules(
        "speech2unit.extract_features"
    )
    assert "fairseq.data" in imported_modules("ulm.binarize") and "faiss" in imported_modules("speech2unit.fit_codebook")


def test_an_idle_stage_makes_files_and_folders(tmp_path):
    idle("speech2unit.reduce_units", [tmp_path / "a" / "units.parquet", tmp_path / "binarized"])
    assert (tmp_path / "a/units.parquet").read_bytes() == b"" and (tmp_path / "binarized").is_dir()


def test_random_rows_have_the_lengths_of_the_published_ones(monkeypatch):
    monkeypatch.setattr(gsc_units, "FILE", "missing.parquet")
    rows, origin = gsc_units.token_rows()
    lengths = [len(source) for source, _ in rows]
    assert origin == "random" and len(rows) == 3081 and min(lengths) >= 9 and max(lengths) <= 42
    assert {label for _, label in rows} == set(range(4, 16))
