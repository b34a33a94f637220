"""List the recordings of a corpus for labelling: what its adapter says, without splits and labels if need be. Nothing is decoded."""

from itertools import islice

from speech2unit.corpora.audio import BadAudio, check_name
from speech2unit.corpora.read_corpus import check_ids, list_corpus
from speech2unit.corpora.schemas import FILES
from storage import tables
from storage.errors import data_error, notice

CHUNK_ROWS = 10_000  # rows that are written together


def file_row(row):
    """Return a row of `FILES` from a row of an adapter. A name that cannot be stored is escaped, with the reason."""
    columns = ("utterance_id", "path", "start_seconds", "end_seconds", "split", "labels")
    listed = {name: row[name] for name in columns} | dict(units=None, reason=None, detail=None)
    try:
        check_name(row["path"])
        check_name(row["utterance_id"])
    except BadAudio as error:
        names = {name: row[name].encode(errors="backslashreplace").decode() for name in ("utterance_id", "path")}
        return listed | names | dict(reason=error.reason, detail=error.detail)
    return listed


def write_files(files, rows, place):
    """Write rows of `FILES` in chunks, so that memory stays bounded, and print how many there are.

    Args:
        files: table to write.
        rows: iterable of rows.
        place: the corpus, for the error message.

    Raises:
        ValueError: if two rows have the same utterance_id, or there is none.
    """
    names = []  # utterance_id and path of all rows
    num_labelled = 0
    rows = iter(rows)
    with tables.writer(files, FILES) as out:
        while chunk := list(islice(rows, CHUNK_ROWS)):
            out.write(chunk)
            names += [dict(utterance_id=row["utterance_id"], path=row["path"]) for row in chunk]
            num_labelled += sum(row["labels"] is not None for row in chunk)
        if not names:
            raise data_error(
                place,
                "a corpus must have recordings",
                expected="at least one",
                got="none",
                remedy="correct the row of config/corpora.tsv, or the folder",
            )
        check_ids(names, place)
    notice(f"{files}: {len(names)} recordings, {num_labelled} with labels")


def list_files(*, files, corpus, source=None):
    """Stage: list the recordings of a corpus in the order of its adapter. See `FILES`.

    Args:
        files: table to write.
        corpus: row of config/corpora.tsv.
        source: files that must exist before; not read here.

    Raises:
        ValueError: if the corpus is not as its adapter expects, or an utterance_id occurs twice.
    """
    write_files(files, map(file_row, list_corpus(corpus)), f"corpus {corpus['corpus']}, {corpus['root']}")
