"""All Parquet input and output: atomic, checksummed, checked against a schema.

`schema(...)` makes a schema: every column has a type, a meaning and a unit; the table has a key and names the stage that makes
it. Error messages tell the user to rerun that stage.

Every table carries the SHA-256 of its whole file (see `storage.files`), which is verified before anything is read. Parquet's own
page checksums protect only the values: they miss flipped bits in the footer and in the headers of pages, after which a
file can read as fewer or as other rows.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage import provenance
from storage.errors import data_error, nearest
from storage.files import atomic, find_damage

MAX_GROUP_ROWS = 10_000  # rows per row group of a file
MAX_GROUP_BYTES = 32 << 20  # of a row group in memory, unless a single row has more


def field(name, type, meaning, *, unit="", nullable=False):
    """Return a column for `schema`.

    Args:
        name: name of the column.
        type: Arrow type.
        meaning: what a value means, as a phrase. If the column is nullable, the phrase says what null means; otherwise it does
            not contain the word "null".
        unit: unit of the values, such as `s` or `frames`; empty without one.
        nullable: whether values may be null.
    """
    return pa.field(name, type, nullable, metadata={"meaning": meaning, "unit": unit})


def schema(name, *fields, key, stage):
    """Return a table's schema: an Arrow schema with name, key and stage in its metadata.

    Args:
        name: name of the table.
        fields: columns, see `field`.
        key: names of the columns whose values identify a row.
        stage: name of the rule that makes the table.
    """
    return pa.schema(fields, metadata={"table": name, "key": ",".join(key), "stage": stage})


@dataclass(frozen=True)
class Column:
    """A column of a schema, described for documentation. `type` is a text such as `list of int16`."""

    name: str
    type: str
    unit: str
    meaning: str
    nullable: bool


@dataclass(frozen=True)
class Description:
    """A schema, described for documentation.

    Attributes:
        name: name of the table.
        key: names of the columns whose values identify a row.
        stage: name of the rule that makes the table.
        columns: a `Column` for each column.
    """

    name: str
    key: tuple
    stage: str
    columns: tuple


def describe(schema):
    """Return the `Description` of a schema, for documentation and reports."""
    columns = [
        Column(
            name=column.name,
            type=_type_text(column.type),
            unit=column.metadata[b"unit"].decode(),
            meaning=column.metadata[b"meaning"].decode(),
            nullable=column.nullable,
        )
        for column in schema
    ]
    stage = schema.metadata[b"stage"].decode()
    return Description(name=_name(schema), key=tuple(_key(schema)), stage=stage, columns=tuple(columns))


class Writer:
    """Writes one Parquet file in parts; created by `writer(...)`.

    Rows are collected to row groups of up to `MAX_GROUP_ROWS` rows and `MAX_GROUP_BYTES` bytes, however few are written at a time.
    """

    def __init__(self, path, schema, temporary):
        self.path = path
        self.schema = schema
        self.digest = hashlib.sha256()
        self.keys = []
        self._start_group()
        self.file = pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            write_page_checksum=True,
            use_compliant_nested_type=False,
        )

    def write(self, rows):
        """Append rows.

        Args:
            rows: a table, a record batch, a dict of columns or a list of dicts, with exactly the schema's columns in any order.
                Arrays in it must not be changed afterwards, as they may not have been written yet.

        Raises:
            ValueError: if a column is missing or unknown, or a value is null in a column that is not nullable.
        """
        table = _as_table(rows, self.schema, self.path)
        self.keys.append(table.select(_key(self.schema)))
        for part in _parts(table):
            if self.num_rows + len(part) > MAX_GROUP_ROWS or self.num_bytes + part.nbytes > MAX_GROUP_BYTES:
                self._write_group()
            self.parts.append(part)
            self.num_rows += len(part)
            self.num_bytes += part.nbytes

    def _start_group(self):
        self.parts = []  # tables of the row group that is collected
        self.num_rows = 0
        self.num_bytes = 0

    def _write_group(self):
        """Write the collected rows as a row group, and start another one."""
        if self.parts:
            table = pa.concat_tables(self.parts).combine_chunks()
            self._start_group()
            for batch in table.to_batches():
                self.digest.update(batch.serialize())
                self.file.write_batch(batch)

    def close(self):
        """Write the last rows, check that every key occurs once, add digest and provenance, and close the file."""
        self._write_group()
        _check_key(pa.concat_tables(self.keys or [self.schema.empty_table()]), self.schema, self.path)
        record = json.dumps(provenance.record(self.path))
        self.file.add_key_value_metadata({provenance.KEY: record, "digest": self.digest.hexdigest()})
        self.file.close()


@contextlib.contextmanager
def writer(path, schema):
    """Yield a `Writer` whose file appears at `path` only after success.

    Args:
        path: Parquet file to write.
        schema: its schema.

    Raises:
        ValueError: if two rows have the same key, or the disk is full or not writable.
    """
    with atomic(path) as temporary:
        out = Writer(path, schema, temporary)
        try:
            yield out
            out.close()
        finally:
            if out.file.is_open:
                out.file.close()


def write(path, rows, schema):
    """Write a whole table, atomically.

    Args:
        path: Parquet file to write.
        rows: the rows, in any form that `Writer.write` takes.
        schema: the schema of the table.

    Raises:
        ValueError: if the rows do not follow the schema, two rows have the same key, or the disk is full or not writable.
    """
    with writer(path, schema) as out:
        out.write(rows)


def read(path, schema, columns=None):
    """Return a table after checking the file's checksum, the schema and, if its columns are read, the key.

    Args:
        path: Parquet file that `write` or `writer` wrote.
        schema: the schema that it must have.
        columns: names of the columns to read, in this order; all by default.

    Returns:
        A `pyarrow.Table`.

    Raises:
        ValueError: if the file is missing or damaged, was not written by this module, or has other columns or a repeated key.
    """
    batches = list(stream(path, schema, columns))
    table = pa.Table.from_batches(batches, _subset(schema, columns))
    if set(_key(schema)) <= set(table.column_names):
        _check_key(table, schema, path)
    return table


def read_many(paths, schema, columns=None):
    """Return several files of one schema as one table.

    Args:
        paths: Parquet files; their rows are concatenated in this order.
        schema, columns: as for `read`.

    Returns:
        A `pyarrow.Table`.

    Raises:
        ValueError: if `read` refuses one of the files.
    """
    return pa.concat_tables([read(path, schema, columns) for path in paths])


def stream(path, schema, columns=None, batch_rows=1024):
    """Yield a table as record batches, with bounded memory, after checking the file's checksum and the schema.

    A batch has rows of one row group, so at most `MAX_GROUP_BYTES` unless a single row has more. What is kept of a batch after the
    next one is read must be copied: a view of one value keeps its whole batch in memory.

    Args:
        path: Parquet file that `write` or `writer` wrote.
        schema: the schema that it must have.
        columns: names of the columns to read, in this order; all by default.
        batch_rows: largest number of rows in a batch.

    Raises:
        ValueError: if the file is missing or damaged, was not written by this module, or has other columns.
    """
    with _readable(path, schema):
        _check_checksum(path, schema)
        file = pq.ParquetFile(path, page_checksum_verification=True)
    with file:
        _check_columns(file.schema_arrow, schema, path)
        batches = _batches(file, batch_rows, columns)
        while True:
            with _readable(path, schema):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch.cast(_subset(schema, columns))


def _parts(table):
    """Yield the rows of a table in parts that are small enough for a row group; a row that is too large is a part of its own."""
    for start in range(0, len(table), MAX_GROUP_ROWS):
        part = table.slice(start, MAX_GROUP_ROWS)
        if len(part) > 1 and part.nbytes > MAX_GROUP_BYTES:
            middle = len(part) // 2
            yield from _parts(part.slice(0, middle))
            yield from _parts(part.slice(middle))
        else:
            yield part


def _batches(file, batch_rows, columns):
    """Yield the record batches of a `ParquetFile`; none of them has rows of two row groups, as those of `iter_batches` may."""
    for group in range(file.num_row_groups):
        yield from file.iter_batches(batch_size=batch_rows, row_groups=[group], columns=columns)


def _type_text(type):
    """Return an Arrow type as text, such as `int16`, `list of int16`, `string`."""
    return f"list of {_type_text(type.value_type)}" if pa.types.is_list(type) else str(type)


def _subset(schema, columns):
    """Return the schema with these columns in this order."""
    if columns is None:
        return schema
    return pa.schema([schema.field(column) for column in columns], metadata=schema.metadata)


def _name(schema):
    """Return the name of the table."""
    return schema.metadata[b"table"].decode()


def _key(schema):
    """Return the names of the key's columns."""
    return schema.metadata[b"key"].decode().split(",")


def _rerun(path, schema):
    """Return the remedy for a file that its stage must make again."""
    return f"rerun its stage: snakemake --cores all --forcerun {schema.metadata[b'stage'].decode()} {path}"


def _check_checksum(path, schema):
    """Raise `ValueError` if the file is not, byte by byte, what `writer` wrote."""
    if damage := find_damage(path):
        raise data_error(
            path,
            "a table must be unchanged since its stage wrote it",
            expected="a file with its own checksum",
            got=damage,
            remedy=_rerun(path, schema),
        )


@contextlib.contextmanager
def _readable(path, schema):
    """Turn errors about a missing or unreadable file into a `ValueError` that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise data_error(
            path,
            "the table must exist",
            expected="a file",
            got="none",
            remedy=_rerun(path, schema),
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise data_error(
            path,
            "a table must be readable",
            expected="a Parquet file with correct page checksums",
            got=f"{error}",
            remedy=_rerun(path, schema),
        ) from error


def _check_columns(stored, schema, path):
    """Raise `ValueError` if a stored schema has other columns or types."""
    expected = {column.name: str(column.type) for column in schema}
    got = {column.name: str(column.type) for column in stored}
    if expected != got:
        differences = sorted(set(expected.items()) ^ set(got.items()))
        raise data_error(
            path,
            f"table '{_name(schema)}' must have the columns of its schema",
            expected=f"{expected}",
            got=f"{got} (differences: {differences})",
            remedy=_rerun(path, schema),
        )


def _as_table(rows, schema, path):
    """Return rows in any of the forms of `Writer.write` as a table; raise `ValueError` if they do not follow the schema."""
    names = _column_names(rows)
    unknown = names - set(schema.names)
    missing = set(schema.names) - names
    if names and (unknown or missing):
        hint = "".join(nearest(name, schema.names) for name in sorted(unknown))
        raise data_error(
            path,
            "rows must have the schema's columns",
            expected=f"{schema.names}",
            got=f"unknown {sorted(unknown)}, missing {sorted(missing)}",
            remedy=f"{hint}fix the stage that writes them",
        )
    if isinstance(rows, list):
        table = pa.Table.from_pylist(rows, schema=schema)
    elif isinstance(rows, dict):
        table = pa.table(rows, schema=schema)
    else:
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        table = table.select(schema.names).cast(schema)
    for column in schema:
        if not column.nullable and table[column.name].null_count:
            raise data_error(
                path,
                f"column '{column.name}' must be filled",
                expected="no nulls",
                got=f"{table[column.name].null_count} nulls",
                remedy="fix the rows or make the column nullable in the schema",
            )
    return table


def _column_names(rows):
    """Return the set of all column names in rows of any of the forms of `Writer.write`."""
    if isinstance(rows, list):
        return {name for row in rows for name in row}
    return set(rows) if isinstance(rows, dict) else set(rows.schema.names)


def _check_key(table, schema, path):
    """Raise `ValueError` if two rows have the same key."""
    key = _key(schema)
    counts = table.group_by(key).aggregate([([], "count_all")])
    repeated = counts.filter(pc.greater(counts["count_all"], 1))
    if repeated.num_rows:
        raise data_error(
            path,
            f"the values of {key} must identify a row",
            expected="each key once",
            got=f"{repeated.num_rows} keys more than once, such as {repeated.to_pylist()[:3]}",
            remedy="remove the duplicates from the corpus",
        )
