"""Tables: what was written is read or refused, no partial file is left, errors have all five parts."""

import contextlib
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
from storage.files import CHECKSUM_PLACEHOLDER, write_json
from storage.tables import field, schema

TOY = schema(
    "toys",
    field("name", pa.string(), "name of the toy"),
    field("units", pa.list_(pa.int16()), "its units"),
    field("weight", pa.float64(), "how heavy it is; null if unknown", unit="g", nullable=True),
    key=("name",),
    stage="make_toys",
)
OTHER_COLUMN = field("more", pa.int64(), "another column")
ROWS = [dict(name=f"toy{i}", units=list(range(i % 7)), weight=i / 3 if i % 4 else None) for i in range(300)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toys.parquet"


@pytest.fixture
def written(path):
    tables.write(path, ROWS, TOY)
    return path


def error(function, *arguments):
    """Return the text of the error that the call raises, after checking that it has all five parts."""
    with pytest.raises(ValueError) as caught:
        function(*arguments)
    assert type(caught.value) is ValueError
    text = str(caught.value)
    assert re.fullmatch(r"\S+: .+; expected .+, got .+; .+", text, re.DOTALL), text
    return text


def refused(path, rows):
    """Return the text of the error about these rows, after checking that no file is left."""
    text = error(tables.write, path, rows, TOY)
    assert text.startswith(f"{path}: ") and not list(path.parent.iterdir())
    return text


def test_rows_read_back_with_this_module_and_with_pandas(written):
    assert tables.read(written, TOY).to_pylist() == ROWS
    frame = pandas.read_parquet(written)
    assert list(frame.columns) == ["name", "units", "weight"] and list(frame.units[6]) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(ROWS, id="dicts"),
        pytest.param(pa.Table.from_pylist(ROWS, TOY), id="table"),
        pytest.param({name: [row[name] for row in ROWS] for name in TOY.names}, id="columns"),
        pytest.param(pa.Table.from_pylist(ROWS, TOY).select(["weight", "name", "units"]), id="reordered"),
        pytest.param(pa.RecordBatch.from_pylist(ROWS, TOY), id="batch"),
    ],
)
def test_all_forms_of_rows_give_the_same_table(written, rows, tmp_path):
    tables.write(tmp_path / "other.parquet", rows, TOY)
    assert tables.read(tmp_path / "other.parquet", TOY).equals(tables.read(written, TOY))


def test_writing_and_reading_in_parts_keeps_rows_and_bounds_batches(tmp_path):
    with tables.writer(tmp_path / "parts.parquet", TOY) as out:
        for start in range(0, 300, 70):
            out.write(ROWS[start : start + 70])
    batches = list(tables.stream(tmp_path / "parts.parquet", TOY, batch_rows=64))
    assert max(map(len, batches)) <= 64 and [row for batch in batches for row in batch.to_pylist()] == ROWS


HEAVY = schema(
    "heavy", TOY.field("name"), field("features", pa.list_(pa.float32()), "its features"), key=("name",), stage="weigh"
)


@pytest.mark.parametrize("rows_together", [1, 7, 90])
def test_row_groups_and_batches_are_bounded_in_bytes(path, rows_together):
    """Rows of 12 s × 768 dimensions, 1.8 MB each, among rows of 2 kB: 80 MB."""
    lengths = [460_000 if i % 2 else 512 for i in range(90)]
    rows = [dict(name=f"u{i}", features=np.full(length, i, np.float32)) for i, length in enumerate(lengths)]
    with tables.writer(path, HEAVY) as out:
        for start in range(0, len(rows), rows_together):
            out.write(rows[start : start + rows_together])
    file = pq.ParquetFile(path)
    assert 3 <= file.num_row_groups <= 6
    held_before = pa.total_allocated_bytes()
    names, num_values, most_held = [], 0, 0
    for batch in tables.stream(path, HEAVY):
        assert batch.nbytes <= tables.MAX_GROUP_BYTES
        names += batch["name"].to_pylist()
        num_values += len(batch["features"].values)
        most_held = max(most_held, pa.total_allocated_bytes() - held_before)
    assert names == [row["name"] for row in rows] and num_values == sum(lengths)
    assert most_held < 4 * tables.MAX_GROUP_BYTES


def test_a_row_that_is_too_large_for_a_row_group_is_one(path):
    sizes = [10, tables.MAX_GROUP_BYTES // 4 + 1, 10]
    tables.write(path, [dict(name=f"u{i}", features=np.zeros(size, np.float32)) for i, size in enumerate(sizes)], HEAVY)
    assert [len(batch) for batch in tables.stream(path, HEAVY)] == [1, 1, 1]


def test_small_parts_share_a_row_group_and_the_digest_of_one_part(path, tmp_path):
    tables.write(path, ROWS, TOY)
    with tables.writer(tmp_path / "parts.parquet", TOY) as out:
        for row in ROWS:
            out.write([row])
    whole, parts = (pq.ParquetFile(file) for file in (path, tmp_path / "parts.parquet"))
    assert whole.num_row_groups == parts.num_row_groups == 1
    assert whole.metadata.metadata[b"digest"] == parts.metadata.metadata[b"digest"]


def test_a_table_without_rows(path):
    tables.write(path, [], TOY)
    assert tables.read(path, TOY).num_rows == 0 and tables.read(path, TOY).schema.equals(TOY)


def test_some_columns(written):
    assert tables.read(written, TOY, ["units", "name"]).column_names == ["units", "name"]
    assert tables.read(written, TOY, ["weight"]).column_names == ["weight"]


def test_several_files_in_the_order_given(written, tmp_path):
    tables.write(tmp_path / "more.parquet", [dict(name="last", units=[1], weight=None)], TOY)
    names = tables.read_many([tmp_path / "more.parquet", written], TOY)["name"].to_pylist()
    assert names[:2] == ["last", "toy0"] and len(names) == 301


def test_the_file_holds_meaning_unit_key_and_stage(written):
    stored = pq.read_schema(written)
    assert stored.field("weight").metadata == {b"meaning": b"how heavy it is; null if unknown", b"unit": b"g"}
    assert (stored.metadata[b"table"], stored.metadata[b"key"], stored.metadata[b"stage"]) == (b"toys", b"name", b"make_toys")


def test_a_description_holds_everything_about_a_schema():
    description = tables.describe(TOY)
    assert (description.name, description.key, description.stage) == ("toys", ("name",), "make_toys")
    name, units, weight = description.columns
    assert name == tables.Column("name", "string", "", "name of the toy", nullable=False)
    assert (units.type, weight.unit, weight.nullable) == ("list of int16", "g", True)


def test_the_digest_depends_on_the_rows_alone(path):
    digests = []
    for rows in (ROWS, ROWS, ROWS[::-1]):
        tables.write(path, rows, TOY)
        metadata = pq.read_metadata(path).metadata
        digests.append(metadata[b"digest"])
        assert json.loads(metadata[b"provenance"])["versions"]["pyarrow"] == pa.__version__
    assert digests[0] == digests[1] != digests[2]


# refused while writing


def test_an_unknown_column_names_the_nearest(path):
    text = refused(path, [dict(name="a", units=[], wieght=1.0)])
    assert "unknown ['wieght'], missing ['weight']" in text and 'did you mean "weight"?' in text


def test_an_additional_column_is_never_dropped(path):
    assert "unknown ['more'], missing []" in refused(path, [ROWS[1] | dict(more=1)])
    assert "unknown ['more'], missing []" in refused(
        path, pa.Table.from_pylist(ROWS, TOY).append_column("more", pa.array(range(300)))
    )


@pytest.mark.parametrize("rows", [[dict(name="a", units=[])], dict(name=["a"], units=[[1]]), pa.table(dict(name=["a"]))])
def test_a_missing_column(path, rows):
    assert "missing ['" in refused(path, rows) and "weight" in refused(path, rows)


def test_a_column_that_some_rows_lack_counts_as_null(path):
    assert "column 'units' must be filled; expected no nulls, got 1 nulls" in refused(path, [ROWS[0], dict(name="a", weight=1.0)])


@pytest.mark.parametrize("column", ["name", "units"])
def test_a_null(path, column):
    assert f"column '{column}' must be filled; expected no nulls, got 1 nulls" in refused(
        path, [ROWS[1], ROWS[2] | {column: None}]
    )


def test_a_repeated_key_also_in_different_parts(path):
    text = refused(path, [*ROWS, ROWS[3]])
    assert (
        "the values of ['name'] must identify a row; expected each key once, got 1 keys more than once" in text and "toy3" in text
    )
    with pytest.raises(ValueError, match="each key once"), tables.writer(path, TOY) as out:
        out.write(ROWS[:5])
        out.write(ROWS[4:8])
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("value", [["a"], [40_000], "text", [True]], ids=repr)
def test_values_that_the_type_cannot_hold(path, value):
    with pytest.raises((pa.ArrowException, ValueError, TypeError, OverflowError)):
        tables.write(path, [ROWS[1] | dict(units=value)], TOY)
    assert not list(path.parent.iterdir())


def test_after_an_exception_the_old_file_is_unchanged(written):
    before = written.read_bytes()
    with pytest.raises(RuntimeError, match="halfway"), tables.writer(written, TOY) as out:
        out.write([dict(name="x", units=[1], weight=None)])
        raise RuntimeError("halfway")
    assert written.read_bytes() == before and [p.name for p in written.parent.iterdir()] == ["toys.parquet"]


# refused while reading


def test_no_file(path):
    text = error(tables.read, path, TOY)
    rerun = f"rerun its stage: snakemake --cores all --forcerun make_toys {path}"
    assert text == f"{path}: the table must exist; expected a file, got none; {rerun}"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda table: table.drop_columns("weight"), id="one column less"),
        pytest.param(lambda table: table.append_column(OTHER_COLUMN, pa.array(range(300))), id="one column more"),
        pytest.param(lambda table: table.rename_columns(["name", "unit", "weight"]), id="renamed"),
        pytest.param(lambda table: table.select(["weight", "name"]), id="reordered and one less"),
        pytest.param(lambda table: table.set_column(2, "weight", table["weight"].cast(pa.float32())), id="float32"),
        pytest.param(lambda table: table.set_column(1, "units", table["units"].cast(pa.list_(pa.int32()))), id="int32"),
    ],
)
def test_another_schema(written, change):
    table = change(tables.read(written, TOY))
    tables.write(written, table, table.schema.with_metadata(TOY.metadata))
    text = error(tables.read, written, TOY)
    assert "table 'toys' must have the columns of its schema; expected {'name': 'string'" in text
    assert "(differences: [" in text and text.endswith(f"--forcerun make_toys {written}")


def test_a_repeated_key_or_a_null_that_another_schema_allowed(written):
    by_weight = TOY.with_metadata({**TOY.metadata, b"key": b"name,weight"})
    tables.write(written, [*ROWS[:5], ROWS[3] | dict(weight=7.0)], by_weight)
    assert "each key once, got 1 keys more than once" in error(tables.read, written, TOY)
    nullable = pa.schema([column.with_nullable(True) for column in TOY], TOY.metadata)
    tables.write(written, [ROWS[1], dict(name="a", units=None, weight=1.0)], nullable)
    with pytest.raises(ValueError):
        tables.read(written, TOY)


def test_a_table_that_this_module_did_not_write(written):
    pq.write_table(tables.read(written, TOY), written, use_compliant_nested_type=False)
    text = error(tables.read, written, TOY)
    assert "a table must be unchanged since its stage wrote it; expected a file with its own checksum, got no checksum: " in text


def assert_damage_is_reported(path):
    """Check that neither `read` nor `stream` returns anything and that the error names the file and the remedy."""
    for read_any in (tables.read, lambda *arguments: next(tables.stream(*arguments))):
        text = error(read_any, path, TOY)
        assert text.startswith(f"{path}: ") and text.endswith(f"--forcerun make_toys {path}"), text


def test_a_cut_file_is_refused(written):
    data = written.read_bytes()
    for length in [*range(0, len(data), 17), *range(len(data) - 12, len(data))]:
        written.write_bytes(data[:length])
        assert_damage_is_reported(written)


def flip_bits(path, positions):
    """Flip one bit of the file after the other, each time in the undamaged file; yield its position."""
    data = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for position in positions:
            file.seek(position // 8)
            file.write(bytes([data[position // 8] ^ 1 << position % 8]))
            yield position
            file.seek(position // 8)
            file.write(data[position // 8 : position // 8 + 1])


def footer_start(data):
    """Return the position of the first byte of a Parquet file's footer."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


@pytest.mark.slow
def test_a_flipped_bit_in_the_footer_is_refused(written):
    """The footer holds no page, so that Parquet's page checksums do not protect it."""
    data = written.read_bytes()
    positions = range(8 * footer_start(data), 8 * len(data), 3)  # each of the eight bits of a byte in turn
    assert len(positions) > 4000
    for _ in flip_bits(written, positions):
        assert_damage_is_reported(written)
    tables.read(written, TOY)


@pytest.mark.slow
def test_a_flipped_bit_in_the_pages_is_refused(written):
    positions = range(0, 8 * footer_start(written.read_bytes()), 11)
    assert len(positions) > 1000
    for _ in flip_bits(written, positions):
        assert_damage_is_reported(written)
    tables.read(written, TOY)


@pytest.mark.slow
def test_without_the_checksum_some_flipped_bits_would_read_as_other_rows(written, monkeypatch):
    """This is why page checksums are not enough."""
    expected = tables.read(written, TOY)
    monkeypatch.setattr(tables, "find_damage", lambda path: "")
    footer = 8 * footer_start(written.read_bytes())
    num_silent = 0
    for _ in flip_bits(written, range(footer, footer + 8 * 200)):
        with contextlib.suppress(ValueError):
            num_silent += not tables.read(written, TOY).equals(expected)
    assert num_silent


def test_a_file_that_is_not_parquet(path):
    for data in (b"", b"PAR1", b"<html></html>" * 100, b"PAR1" + bytes(100) + b"PAR1"):
        path.write_bytes(data)
        assert "a table must be unchanged since its stage wrote it; expected " in error(tables.read, path, TOY)
    write_json(path, dict(checksum=CHECKSUM_PLACEHOLDER))
    assert "a table must be readable; expected a Parquet file with correct page checksums, got " in error(tables.read, path, TOY)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.integers(-(2**15), 2**15 - 1), max_size=5), max_size=20))
def test_random_rows_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("any") / "t.parquet"
    expected = [dict(name=name, units=units, weight=None) for name, units in rows.items()]
    tables.write(path, expected, TOY)
    assert tables.read(path, TOY).to_pylist() == expected
