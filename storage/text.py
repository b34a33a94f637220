"""Text that people type: one form for names that look the same, and the encodings that programs write.

Everything that becomes a label, a speaker, a split, a path or the name of a column goes through `normalize`. So a blank after a
cell, or a letter that a Mac writes as two characters, makes no second class.
"""

import re
import unicodedata
from collections import defaultdict

from storage.errors import data_error

# Characters without ink that Python does not count as blanks: zero-width blanks, marks of writing direction, byte order mark.
INVISIBLE = "\u00ad\u180e\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_OUTER = re.compile(rf"^[\s{INVISIBLE}]+|[\s{INVISIBLE}]+$")
BYTE_ORDER_MARKS = (  # the longer marks first, because one begins with the other
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
OTHER_ENCODINGS = ("CP1252", "GB18030", "SHIFT_JIS", "CP1251")  # Windows in the West, China, Japan, Eastern Europe
OTHER_FORMATS = (  # first bytes → what it is, and how it becomes a table
    (b"PK\x03\x04", "an Excel workbook or another archive", "save it from Excel as 'CSV UTF-8'"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "save it from Excel as 'CSV UTF-8'"),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"SQLite format 3", "a database", "export the table as CSV"),
    (b"RIFF", "audio", "name the table, not a recording"),
    (b"%PDF", "a PDF file", "export the table as CSV"),
)


def normalize(text):
    """Return a text in Unicode's composed form (NFC), without blanks and invisible characters at its ends."""
    if text.isascii():
        return text.strip()
    return _OUTER.sub("", unicodedata.normalize("NFC", text))


def normalize_name(text):
    """Return the name of a label, speaker or column: normalized, with one plain blank for each run of blanks inside."""
    return " ".join(normalize(text).split())


def look_alikes(names):
    """Return the groups of different names that a reader takes for the same, such as [['Yes', 'yes']], in sorted order.

    They differ in capitals, in invisible characters, or in the form of the same letter, such as a wide A.
    """
    groups = defaultdict(list)
    for name in sorted(set(names)):
        groups[_as_read(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _as_read(name):
    """Return a name without what the eye misses."""
    if name.isascii():
        return name.casefold()
    composed = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(letter for letter in composed if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFKC", " ".join(visible.split()))


def shown(value, length=60):
    """Return a value as text for a message: on one line, without characters that disturb a terminal, and not too long."""
    text = (
        value if isinstance(value, str) else f"{type(value).__name__} of {len(value)} bytes" if _is_bytes(value) else str(value)
    )
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: 2 * length])
    return text if len(text) <= length else f"{text[:length]}…"


def first_three(texts_of):
    """Return the first three entries of a dict from name to texts as one text: `'ann': 'a1 in train', 'a2 in test'`.

    Names are quoted, so that odd characters in them cause no harm.
    """
    parts = [f"{name!a}: {', '.join(map(ascii, texts))}" for name, texts in list(texts_of.items())[:3]]
    return "; ".join(parts) + ("; …" if len(texts_of) > 3 else "")


def _is_bytes(value):
    return isinstance(value, (bytes, bytearray, memoryview))


def decode_text(data, place, only_utf8=False):
    """Return the text of a file: UTF-8, or another form of Unicode that begins with its byte order mark.

    Args:
        data: the bytes of the file.
        place: the file, for the error message.
        only_utf8: refuse the other forms, because another program reads the file too.

    Raises:
        ValueError: naming the encoding to convert from, and the command that does it.
    """
    expected = "UTF-8" if only_utf8 else "UTF-8, or UTF-16 with a byte order mark"
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            if only_utf8 and encoding != "utf-8":
                family = encoding.rpartition("-")[0].upper()  # with this name, iconv removes the mark
                raise _wrong_encoding(place, family, f"{encoding.upper()}, by its byte order mark", expected)
            return _decode(data[len(mark) :], encoding, place, expected)
    for start, kind, remedy in OTHER_FORMATS:
        if data.startswith(start):
            raise data_error(place, "a table must be text", expected="text in UTF-8", got=kind, remedy=remedy)
    zeros = data[:1000].count(0)
    if zeros > len(data[:1000]) / 4:
        raise _wrong_encoding(place, "UTF-16LE" if data[1:2] == b"\0" else "UTF-16BE", "a zero in every second byte", expected)
    return _decode(data, "utf-8", place, expected)


def _decode(data, encoding, place, expected):
    """Decode bytes without byte order mark. Raises `ValueError` with the line that is wrong; `expected` is for its message."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise data_error(
                place,
                "a file must be in the encoding that its byte order mark names",
                expected=encoding.upper(),
                got=f"{error.reason} at byte {error.start}",
                remedy="save it again as UTF-8",
            ) from error
        lines = data[: error.start].splitlines()
        word = re.search(rb"[^\s,;\t]*$", data[: error.start])[0] + re.match(rb"[^\s,;\t]*", data[error.start :])[0]
        readings = _readings(word)
        seen = " or ".join(f"'{shown(text)}' in {name}" for name, text in readings.items())
        line = len(lines) + (not lines or data[: error.start].endswith((b"\n", b"\r")))
        got = f"byte 0x{data[error.start]:02X} in line {line}, which may mean {seen or 'anything'}"
        raise _wrong_encoding(place, next(iter(readings), "CP1252"), got, expected) from error


def _readings(word):
    """Return encoding → how the bytes of a word read in it, for the `OTHER_ENCODINGS` in which they are letters."""
    readings = {}
    for encoding in OTHER_ENCODINGS:
        try:
            text = word.decode(encoding)
        except UnicodeDecodeError:
            continue
        if all(letter.isascii() or letter.isalpha() or letter in "“”‘’–—…€£°¿¡«»" for letter in text):
            readings[encoding] = text
    return readings


def _wrong_encoding(place, encoding, got, expected):
    """Return the error about a file that is not UTF-8."""
    name = str(place)
    return data_error(
        place,
        "a text file must be in UTF-8",
        expected=expected,
        got=got,
        remedy=f"convert it with: iconv -f {encoding} -t UTF-8 '{name}' > converted && mv converted '{name}'",
    )
