"""Tables of other people become normalized text, in Parquet as in CSV."""

import datetime

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from speech2unit.corpora.read_metadata import Nested, read_metadata


def parquet(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    return read_metadata(tmp_path / "a.parquet")


def test_cells_of_parquet_are_text_as_in_csv(tmp_path):
    table = parquet(
        tmp_path,
        number=pa.array([7, None, 8]),
        text=pa.array([" a", None, "e\u0301"]),
        category=pa.array(["x", "y ", None]).dictionary_encode(),
        truth=pa.array([True, False, None]),
        share=pa.array([0.1, 2.0, None]),
        day=pa.array([datetime.date(2024, 1, 2), None, None]),
        nothing=pa.nulls(3),
    )
    assert table.to_dict("list") == dict(
        number=["7", "", "8"], text=["a", "", "\u00e9"], category=["x", "y", ""], truth=["True", "False", ""], share=["0.1", "2.0", ""],
        day=["2024-01-02", "", ""], nothing=["", "", ""],
    )  # fmt: skip
    assert list(table.index) == ["row 1", "row 2", "row 3"]


def test_nested_values_are_not_read(tmp_path):
    table = parquet(
        tmp_path,
        lists=pa.array([["a"], [], None]),
        deep=pa.array([[["a"]], None, None]),
        audio=pa.array([dict(bytes=b"RIFF", path="a.wav")] * 3),
        raw=pa.array([b"a"] * 3),
    )
    assert table["lists"].tolist() == [["a"], [], ""]
    assert [(type(table[name].iloc[0]), str(table[name].iloc[0])) for name in ("deep", "audio", "raw")] == [
        (Nested, "list<element: list<element: string>>"), (Nested, "struct<bytes: binary, path: string>"), (Nested, "binary"),
    ]  # fmt: skip


def test_an_index_of_pandas_is_a_column(tmp_path):
    pandas.DataFrame(dict(path=["a.wav"], label=["yes"])).set_index("path").to_parquet(tmp_path / "a.parquet")
    assert read_metadata(tmp_path / "a.parquet")["path"].tolist() == ["a.wav"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.bz2", "a.csv.zip", "a.tsv"])
def test_text_may_be_compressed(tmp_path, name):
    pandas.DataFrame(dict(path=["a.wav"], label=["yes"])).to_csv(
        tmp_path / name, index=False, sep="\t" if ".tsv" in name else ","
    )
    table = read_metadata(tmp_path / name)
    assert table.to_dict("list") == dict(path=["a.wav"], label=["yes"]) and list(table.index) == ["line 2"]


def test_names_of_columns_are_normalized_and_unique_in_parquet(tmp_path):
    (tmp_path / "a.csv").write_text(" path ,\u00a0label\na.wav,yes\n")
    assert list(read_metadata(tmp_path / "a.csv").columns) == ["path", "label"]
    with pytest.raises(ValueError, match="a.parquet: a table has unique names of columns"):
        parquet(tmp_path, **{"label": pa.array(["a"]), "label ": pa.array(["b"])})
