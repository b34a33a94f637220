"""Names that look the same become the same, and files in other encodings say what to type."""

import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.text import decode_text, look_alikes, normalize, normalize_name, shown

BLANKS = ["", " ", "\t", "\n", "\u00a0", "\u2003", "\u2009", "\u202f", "\u3000", "\u200b", "\ufeff", "\u202a", "\u2060"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("name", ["yes", "caf\u00e9", "\u1ebf", "\uac00", "turn on", "\u0645\u0631\u062d\u0628\u0627"])
def test_blanks_at_the_ends_and_forms_of_letters_do_not_count(blank, name):
    for form in ("NFC", "NFD"):
        typed = blank + unicodedata.normalize(form, name) + blank
        assert normalize(typed) == normalize_name(typed) == unicodedata.normalize("NFC", name)


def test_blanks_inside_count_in_paths_but_not_in_names():
    assert normalize("a  b.wav") == "a  b.wav"
    assert normalize_name("turn\u00a0 on\nnow") == "turn on now"


@given(st.text())
def test_normalizing_twice_changes_nothing(text):
    assert normalize(normalize(text)) == normalize(text) and normalize_name(normalize_name(text)) == normalize_name(text)
    assert normalize(text) == normalize(unicodedata.normalize("NFD", text))


def test_names_that_a_reader_takes_for_the_same():
    names = ["yes", "Yes", "no", "n\u00adO", "\uff41", "a", "b"]
    assert look_alikes(names) == [["Yes", "yes"], ["a", "\uff41"], ["no", "n\u00adO"]]
    assert look_alikes(["yes", "no"]) == []


def test_what_is_shown_disturbs_no_terminal():
    assert shown("a\x1b[31m\nb") == "a\\x1b[31m\\nb" and shown(b"\0" * 99) == "bytes of 99 bytes" and len(shown("x" * 999)) == 61


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_forms_of_unicode_are_read(encoding):
    assert decode_text("path,M\u00fcller".encode(encoding), "a.csv") == "path,M\u00fcller"


@pytest.mark.parametrize(
    "encoding, typed", [("cp1252", "CP1252"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"), ("shift_jis", "")]
)
def test_other_encodings_say_what_to_type(tmp_path, encoding, typed):
    path = tmp_path / "a table.csv"
    text = "path,speaker\na.wav,\u65e5\u672c\n" if encoding == "shift_jis" else "path,speaker\na.wav,M\u00fcller\n"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(ValueError, match="a text file must be in UTF-8; .* convert it with: iconv -f") as caught:
        decode_text(path.read_bytes(), path)
    message = str(caught.value)
    if not typed:
        assert "'\u65e5\u672c' in SHIFT_JIS" in message and "line 2" in message
        return
    subprocess.run(f"cd {tmp_path} && {message[message.index('iconv') :]}", shell=True, check=True)
    assert decode_text(path.read_bytes(), path) == text


@pytest.mark.parametrize("data, got", [(b"PK\x03\x04x", "Excel workbook"), (b"PAR1", "Parquet file"), (b"RIFF", "audio")])
def test_files_that_are_no_text_are_named(data, got):
    with pytest.raises(ValueError, match=f"a.csv: a table must be text; .* got .*{got}"):
        decode_text(data, "a.csv")
