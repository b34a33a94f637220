"""The only Parquet input and output: whole or absent, with checksums, refused unless schema and key hold.

A schema is made by `schema(...)`: every field has a type, a meaning and a unit; the table has a key and names the stage
that makes it, which is the stage that an error tells the user to rerun.
"""

import contextlib
import hashlib
import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage import provenance
from storage.errors import data_error, nearest
from storage.files import atomic


def field(name, type, meaning, *, unit="", nullable=False):
    """A column with its meaning and its physical unit as metadata."""
    return pa.field(name, type, nullable, metadata={"meaning": meaning, "unit": unit})


def schema(name, *fields, key, stage):
    """A table's contract. `key`: the columns whose values identify a row; `stage`: the rule that makes the table."""
    return pa.schema(fields, metadata={"table": name, "key": ",".join(key), "stage": stage})


class Writer:
    """Streams rows into one Parquet file; `writer(...)` makes it. Row groups of at most `max_rows` rows."""

    def __init__(self, path, schema, temporary):
        self.path, self.schema = path, schema
        self.digest, self.keys = hashlib.sha256(), []
        options = dict(compression="zstd", write_page_checksum=True, use_compliant_nested_type=False)
        self.file = pq.ParquetWriter(temporary, schema, **options)

    def write(self, rows):
        """Append rows: a record batch, a table, a dict of columns or a list of dicts, with exactly the schema's columns."""
        table = _as_table(rows, self.schema, self.path)
        for batch in table.combine_chunks().to_batches(max_chunksize=10_000):
            self.digest.update(batch.serialize())
            self.file.write_batch(batch)
        self.keys.append(table.select(_key(self.schema)))

    def close(self):
        _check_key(pa.concat_tables(self.keys or [self.schema.empty_table()]), self.schema, self.path)
        about = provenance.record(self.path)
        self.file.add_key_value_metadata({provenance.KEY: json.dumps(about), "digest": self.digest.hexdigest()})
        self.file.close()


@contextlib.contextmanager
def writer(path, schema):
    """A `Writer` whose file appears under `path` only when everything went well."""
    with atomic(path) as temporary:
        out = Writer(path, schema, temporary)
        try:
            yield out
            out.close()
        finally:
            if out.file.is_open:
                out.file.close()


def write(path, rows, schema):
    """Write a whole table at once; see `Writer.write` for what `rows` may be."""
    with writer(path, schema) as out:
        out.write(rows)


def read(path, schema, columns=None):
    """The whole table (or some columns), after checking checksums, schema and key. Raises `ValueError`."""
    batches = list(stream(path, schema, columns))
    table = pa.Table.from_batches(batches, _subset(schema, columns))
    if set(_key(schema)) <= set(table.column_names):
        _check_key(table, schema, path)
    return table


def read_many(paths, schema, columns=None):
    """Several files of one schema as one table, in the order given."""
    return pa.concat_tables([read(path, schema, columns) for path in paths])


def stream(path, schema, columns=None, batch_rows=1024):
    """Record batches of a table, with bounded memory; checks checksums and schema. Raises `ValueError`."""
    with _damage(path, schema):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    with file:
        _check_schema(file.schema_arrow, schema, path)
        batches = file.iter_batches(batch_size=batch_rows, columns=columns)
        while True:
            with _damage(path, schema):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch.cast(_subset(schema, columns))


def _subset(schema, columns):
    return schema if columns is None else pa.schema([schema.field(c) for c in columns], metadata=schema.metadata)


def _key(schema):
    return schema.metadata[b"key"].decode().split(",")


def _rerun(path, schema):
    return f"rerun it: snakemake --forcerun {schema.metadata[b'stage'].decode()} {path}"


@contextlib.contextmanager
def _damage(path, schema):
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
            expected="Parquet with right checksums",
            got=f"{error}",
            remedy=_rerun(path, schema),
        ) from error


def _check_schema(found, schema, path):
    expected = {f.name: str(f.type) for f in schema}
    got = {f.name: str(f.type) for f in found}
    if expected != got:
        wrong = sorted(set(expected.items()) ^ set(got.items()))
        raise data_error(
            path,
            f"table '{schema.metadata[b'table'].decode()}' has other columns",
            expected=f"{expected}",
            got=f"{got} (differs in {wrong})",
            remedy=_rerun(path, schema),
        )


def _as_table(rows, schema, path):
    names = _column_names(rows)
    unknown, missing = names - set(schema.names), set(schema.names) - names
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
        table = (pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows).select(schema.names).cast(schema)
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
    if isinstance(rows, list):
        return {name for row in rows for name in row}
    return set(rows) if isinstance(rows, dict) else set(rows.schema.names)


def _check_key(table, schema, path):
    key = _key(schema)
    counts = table.group_by(key).aggregate([([], "count_all")])
    double = counts.filter(pc.greater(counts["count_all"], 1))
    if double.num_rows:
        raise data_error(
            path,
            f"rows are identified by {key}",
            expected="each key once",
            got=f"{double.num_rows} keys more than once, such as {double.to_pylist()[:3]}",
            remedy="remove the duplicates from the corpus",
        )


def describe(schema):
    """Rows (column, type, unit, meaning) of a schema, for documentation and reports."""
    return [(f.name, str(f.type), f.metadata[b"unit"].decode(), f.metadata[b"meaning"].decode()) for f in schema]
