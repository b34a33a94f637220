"""How the command line prints or writes answers: an aligned table, CSV, JSON lines or Parquet. All of them stream.

Every class is used in a `with` statement and has `write(name, result)` for a `Recognition` or a `BadAudio` error.
"""

import contextlib
import csv
import json
import sys
import unicodedata

from speech2unit.corpora.audio import BadAudio

HEADER = ("file", "label", "probability", "n best")
PARQUET_ROWS = 10_000  # of a row group


class Output:
    """What the classes below have in common: nothing is left to do at the end."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class AlignedTable(Output):
    """An aligned table on standard output; files that cannot be used are reported on standard error.

    The widths are those of the first rows. A later row with a longer cell is wider, and so are those after it.
    """

    def __init__(self, num_first_rows):
        self.num_first_rows = num_first_rows
        self.first_rows = []
        self.widths = None

    def write(self, name, result):
        if isinstance(result, BadAudio):
            print(printable(f"{name}: {result.reason}: {result.explanation}"), file=sys.stderr, flush=True)
            return
        n_best = ", ".join(f"{answer.label} {_probability(answer)}" for answer in result.n_best)
        row = tuple(map(printable, (name, result.label, _probability(result), n_best)))
        if self.widths:
            self._print(row)
            return
        self.first_rows.append(row)
        if len(self.first_rows) == self.num_first_rows:
            self._print_first_rows()

    def __exit__(self, *error):
        if self.first_rows:
            self._print_first_rows()

    def _print_first_rows(self):
        self.widths = [max(map(display_width, column)) for column in zip(HEADER, *self.first_rows)]
        for row in (HEADER, *self.first_rows):
            self._print(row)
        self.first_rows = []

    def _print(self, row):
        self.widths = [max(width, display_width(cell)) for width, cell in zip(self.widths, row)]
        cells = [cell + " " * (width - display_width(cell)) for width, cell in zip(self.widths, row)]
        print("  ".join(cells).rstrip(), flush=True)


class CsvRows(Output):
    """CSV on standard output: file, label, probability, score, seconds, other answers, and reason and remedy (`detail`) of unusable files."""

    def __init__(self, num_best):
        self.num_others = max(0, num_best - 1)
        self.rows = csv.writer(sys.stdout, lineterminator="\n")
        others = [f"{name}_{number}" for number in range(2, num_best + 1) for name in ("label", "probability")]
        self._write("file", "label", "probability", "score", "seconds", *others, "reason", "detail")

    def write(self, name, result):
        if isinstance(result, BadAudio):
            self._write(name, *[""] * (4 + 2 * self.num_others), result.reason, result.explanation)
            return
        others = [cell for answer in other_answers(result) for cell in (answer.label, answer.probability)][: 2 * self.num_others]
        others += [""] * (2 * self.num_others - len(others))
        self._write(name, result.label, result.probability, result.score, result.seconds, *others, "", "")

    def _write(self, *cells):
        self.rows.writerow(cells)
        sys.stdout.flush()


class JsonLines(Output):
    """One JSON object per line on standard output: the file, everything of the `Recognition`, and reason and detail."""

    def write(self, name, result):
        if isinstance(result, BadAudio):
            content = dict(file=name, label=None, reason=result.reason, detail=result.explanation)
        else:
            content = dict(file=name, label=result.label) | result.to_dict() | dict(reason=None, detail=None)
        print(json.dumps(content, ensure_ascii=False), flush=True)


class ParquetRows(Output):
    """A Parquet file, which appears under its name only when it is complete. The only format that needs pyarrow."""

    def __init__(self, path):
        import pyarrow as pa
        import pyarrow.parquet as pq

        from storage.files import atomic

        texts = pa.list_(pa.string())
        columns = dict(file=pa.string(), label=pa.string(), labels=texts, score=pa.float64(), probability=pa.float64())
        columns |= dict(n_best_labels=texts, n_best_scores=pa.list_(pa.float64()), seconds=pa.float64())
        columns |= dict(reason=pa.string(), detail=pa.string())
        self.schema = pa.schema(columns)
        self.table_of = pa.Table.from_pylist
        self.rows = []
        self.stack = contextlib.ExitStack()
        temporary = self.stack.enter_context(atomic(path))
        self.file = self.stack.enter_context(pq.ParquetWriter(temporary, self.schema, compression="zstd"))

    def write(self, name, result):
        row = dict.fromkeys(self.schema.names) | dict(file=name.encode(errors="backslashreplace").decode())
        if isinstance(result, BadAudio):
            row |= dict(reason=result.reason, detail=result.explanation)
        else:
            row |= dict(label=result.label, labels=list(result.labels), score=result.score, probability=result.probability)
            row["n_best_labels"] = [answer.label for answer in result.n_best]
            row["n_best_scores"] = [answer.score for answer in result.n_best]
            row["seconds"] = result.seconds
        self.rows.append(row)
        if len(self.rows) == PARQUET_ROWS:
            self._write_rows()

    def __exit__(self, *error):
        if error[0] is None:
            self._write_rows()
        self.stack.__exit__(*error)  # after an error no file appears

    def _write_rows(self):
        self.file.write_table(self.table_of(self.rows, schema=self.schema))
        self.rows = []


def other_answers(result):
    """Return the n best answers of a `Recognition` without the answer itself."""
    return [answer for answer in result.n_best if answer.labels != result.labels]


def aligned(rows):
    """Return rows of texts as lines whose columns are aligned."""
    widths = [max(map(display_width, column)) for column in zip(*rows)]
    padded = ([cell + " " * (width - display_width(cell)) for width, cell in zip(widths, row)] for row in rows)
    return ["  ".join(cells).rstrip() for cells in padded]


def display_width(text):
    """Return how many columns of a terminal a text takes: two for Chinese, Japanese and Korean characters, none for accents."""
    widths = (0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return sum(widths)


def printable(text):
    """Return a text in which characters that would disturb a terminal are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _probability(answer):
    """Return the probability of an answer as text; empty if the model gives none."""
    return "" if answer.probability is None else f"{answer.probability:.3f}"
