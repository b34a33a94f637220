"""Tables: nothing is read as other data, nothing partial stays, errors say place, rule, expected, got, remedy."""

import json
import re

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import tables
from storage.tables import field, schema

TOY = schema(
    "toys",
    field("name", pa.string(), "name of the toy"),
    field("units", pa.list_(pa.int16()), "its units"),
    field("weight", pa.float64(), "how heavy it is; null where unknown", unit="g", nullable=True),
    key=("name",),
    stage="make_toys",
)
ROWS = [dict(name=f"toy{i}", units=list(range(i % 7)), weight=i / 3 if i % 4 else None) for i in range(300)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toys.parquet"


@pytest.fixture
def written(path):
    tables.write(path, ROWS, TOY)
    return path


def error(function, *arguments):
    """The text of the error, after checking that it has all five parts."""
    with pytest.raises(ValueError) as caught:
        function(*arguments)
    assert type(caught.value) is ValueError
    text = str(caught.value)
    assert re.fullmatch(r"\S+: .+; expected .+, got .+; .+", text, re.DOTALL), text
    return text


def refused(path, rows):
    text = error(tables.write, path, rows, TOY)
    assert text.startswith(f"{path}: ") and not list(path.parent.iterdir())
    return text


def test_rows_come_back_by_us_and_by_pandas_alone(written):
    assert tables.read(written, TOY).to_pylist() == ROWS
    frame = pandas.read_parquet(written)
    assert list(frame.columns) == ["name", "units", "weight"] and list(frame.units[6]) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rows", [
    ROWS, pa.Table.from_pylist(ROWS, TOY), {name: [row[name] for row in ROWS] for name in TOY.names},
    pa.Table.from_pylist(ROWS, TOY).select(["weight", "name", "units"]), pa.RecordBatch.from_pylist(ROWS, TOY),
], ids=["dicts", "table", "columns", "reordered", "batch"])  # fmt: skip
def test_any_form_of_rows_is_the_same_table(path, written, rows, tmp_path):
    tables.write(tmp_path / "other.parquet", rows, TOY)
    assert tables.read(tmp_path / "other.parquet", TOY).equals(tables.read(written, TOY))


def test_streamed_in_parts_is_the_same_table_with_bounded_batches(path, written, tmp_path):
    with tables.writer(tmp_path / "parts.parquet", TOY) as out:
        for start in range(0, 300, 70):
            out.write(ROWS[start : start + 70])
    batches = list(tables.stream(tmp_path / "parts.parquet", TOY, batch_rows=64))
    assert max(map(len, batches)) <= 64 and [row for batch in batches for row in batch.to_pylist()] == ROWS


def test_no_rows_are_a_table_too(path):
    tables.write(path, [], TOY)
    assert tables.read(path, TOY).num_rows == 0 and tables.read(path, TOY).schema.equals(TOY)


def test_some_columns(written):
    assert tables.read(written, TOY, ["units", "name"]).column_names == ["units", "name"]
    assert tables.read(written, TOY, ["weight"]).column_names == ["weight"]


def test_several_files_in_the_order_given(written, tmp_path):
    tables.write(tmp_path / "more.parquet", [dict(name="last", units=[1], weight=None)], TOY)
    found = tables.read_many([tmp_path / "more.parquet", written], TOY)["name"].to_pylist()
    assert found[:2] == ["last", "toy0"] and len(found) == 301


def test_meaning_unit_key_and_stage_travel_in_the_file(written):
    found = pq.read_schema(written)
    assert found.field("weight").metadata == {b"meaning": b"how heavy it is; null where unknown", b"unit": b"g"}
    assert (found.metadata[b"table"], found.metadata[b"key"], found.metadata[b"stage"]) == (b"toys", b"name", b"make_toys")
    assert ("weight", "double", "g", "how heavy it is; null where unknown") in tables.describe(TOY)


def test_the_digest_is_of_the_rows_and_provenance_is_beside_it(path):
    digests = []
    for rows in (ROWS, ROWS, ROWS[::-1]):
        tables.write(path, rows, TOY)
        metadata = pq.read_metadata(path).metadata
        digests.append(metadata[b"digest"])
        assert json.loads(metadata[b"provenance"])["versions"]["pyarrow"] == pa.__version__
    assert digests[0] == digests[1] != digests[2]


# what is refused while writing


def test_an_unknown_column_names_the_nearest(path):
    text = refused(path, [dict(name="a", units=[], wieght=1.0)])
    assert "unknown ['wieght'], missing ['weight']" in text and 'did you mean "weight"?' in text


def test_a_column_more_is_never_dropped_in_silence(path):
    assert "unknown ['more'], missing []" in refused(path, [ROWS[1] | dict(more=1)])
    assert "unknown ['more'], missing []" in refused(
        path, pa.Table.from_pylist(ROWS, TOY).append_column("more", pa.array(range(300)))
    )


@pytest.mark.parametrize("rows", [[dict(name="a", units=[])], dict(name=["a"], units=[[1]]), pa.table(dict(name=["a"]))])
def test_a_missing_column(path, rows):
    assert "missing ['" in refused(path, rows) and "weight" in refused(path, rows)


def test_a_column_that_some_rows_lack_is_a_null_and_refused_where_none_may_be(path):
    assert "column 'units' must be filled; expected no nulls, got 1 nulls" in refused(path, [ROWS[0], dict(name="a", weight=1.0)])


@pytest.mark.parametrize("column", ["name", "units"])
def test_a_null(path, column):
    assert f"column '{column}' must be filled; expected no nulls, got 1 nulls" in refused(
        path, [ROWS[1], ROWS[2] | {column: None}]
    )


def test_a_key_twice_also_where_rows_come_in_parts(path):
    text = refused(path, [*ROWS, ROWS[3]])
    assert "rows are identified by ['name']; expected each key once, got 1 keys more than once" in text and "toy3" in text
    with pytest.raises(ValueError, match="each key once"), tables.writer(path, TOY) as out:
        out.write(ROWS[:5])
        out.write(ROWS[4:8])
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("value", [["a"], [40_000], "text", [True]], ids=repr)
def test_values_that_the_type_cannot_hold(path, value):
    with pytest.raises((pa.ArrowException, ValueError, TypeError, OverflowError)):
        tables.write(path, [ROWS[1] | dict(units=value)], TOY)
    assert not list(path.parent.iterdir())


def test_nothing_partial_is_left_and_the_old_file_stays_after_an_exception(written):
    before = written.read_bytes()
    with pytest.raises(RuntimeError, match="halfway"), tables.writer(written, TOY) as out:
        out.write([dict(name="x", units=[1], weight=None)])
        raise RuntimeError("halfway")
    assert written.read_bytes() == before and [p.name for p in written.parent.iterdir()] == ["toys.parquet"]


# what is refused while reading


def test_no_file(path):
    text = error(tables.read, path, TOY)
    assert text == f"{path}: the table must exist; expected a file, got none; rerun it: snakemake --forcerun make_toys {path}"


@pytest.mark.parametrize("change", [
    lambda t: t.drop_columns("weight"), lambda t: t.append_column("more", pa.array(range(300))),
    lambda t: t.rename_columns(["name", "unit", "weight"]), lambda t: t.select(["weight", "name"]),
    lambda t: t.set_column(2, "weight", t["weight"].cast(pa.float32())),
    lambda t: t.set_column(1, "units", t["units"].cast(pa.list_(pa.int32()))),
], ids=["less", "more", "renamed", "fewer", "float32", "int32"])  # fmt: skip
def test_another_schema(written, change):
    pq.write_table(change(tables.read(written, TOY)), written)
    text = error(tables.read, written, TOY)
    assert "table 'toys' has other columns; expected {'name': 'string'" in text and "(differs in [" in text
    assert text.endswith(f"rerun it: snakemake --forcerun make_toys {written}")


def test_a_null_or_a_double_key_in_a_foreign_file(written):
    table = tables.read(written, TOY)
    options = dict(use_compliant_nested_type=False)
    pq.write_table(pa.concat_tables([table, table.slice(5, 1)]), written, **options)
    assert "each key once, got 1 keys more than once" in error(tables.read, written, TOY)
    loose = pa.schema([f.with_nullable(True) for f in TOY], TOY.metadata)
    pq.write_table(pa.Table.from_pylist([ROWS[1], dict(name="a", units=None, weight=1.0)], loose), written, **options)
    with pytest.raises(ValueError):
        tables.read(written, TOY)


def same_or_error(path, expected):
    """Whether reading fails as it should; if it does not the data must be the same."""
    try:
        found = tables.read(path, TOY)
    except ValueError as problem:
        assert str(path) in str(problem) and "--forcerun make_toys" in str(problem), problem
        return True
    assert found.equals(expected)
    return False


def test_a_cut_file_is_always_found(written):
    data, expected = written.read_bytes(), tables.read(written, TOY)
    for length in np.linspace(0, len(data) - 1, 20).astype(int):
        written.write_bytes(data[:length])
        assert same_or_error(written, expected), length


def test_a_flipped_bit_is_never_read_as_other_data(written):
    data, expected, rng, found = written.read_bytes(), tables.read(written, TOY), np.random.default_rng(0), 0
    for _ in range(100):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        written.write_bytes(damaged)
        found += same_or_error(written, expected)
    assert found >= 50  # the others hit metadata that carries no data


def test_a_file_that_is_no_parquet(path):
    for data in (b"", b"PAR1", b"<html></html>" * 100, b"PAR1" + bytes(100) + b"PAR1"):
        path.write_bytes(data)
        assert "a table must be readable; expected Parquet with right checksums, got " in error(tables.read, path, TOY)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.integers(-(2**15), 2**15 - 1), max_size=5), max_size=20))
def test_whatever_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "t.parquet"
    expected = [dict(name=name, units=units, weight=None) for name, units in rows.items()]
    tables.write(path, expected, TOY)
    assert tables.read(path, TOY).to_pylist() == expected
