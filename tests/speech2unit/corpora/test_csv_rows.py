"""Every row and cell of a CSV file counts, and errors name the line."""

import pytest

from speech2unit.corpora.csv_rows import read_csv

HEADER = "path,split,speaker,label,said\n"


def rows(text):
    header, read = read_csv(text, "a.csv")
    return [line for line, _ in read], [dict(zip(header, cells)) for _, cells in read]


def line(number, said="ok", end="\n"):
    return f"c{number}.wav,train,s{number % 3},yes,{said}{end}"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_written(end):
    text = (HEADER + "\n" + line(1) + "\n\n" + line(2, '"two\nlines, and a comma"') + line(3) + ",,,,\n").replace("\n", end)
    lines, cells = rows(text)
    assert lines == [3, 6, 8] and [row["path"] for row in cells] == ["c1.wav", "c2.wav", "c3.wav"]


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_other_characters_between_cells(mark):
    assert rows((HEADER + line(1)).replace(",", mark)) == rows(HEADER + line(1))
    lines, cells = rows(f"sep={mark}\n" + (HEADER + line(1)).replace(",", mark))
    assert lines == [3] and cells == rows(HEADER + line(1))[1]


def test_quotation_marks_that_belong_to_cells():
    said = ['"a, b"', '"she said ""no"""', ' "yes"', '12" pipe', "it's"]
    assert [row["said"] for row in rows(HEADER + "".join(line(i, text) for i, text in enumerate(said)))[1]] == [
        "a, b", 'she said "no"', "yes", '12" pipe', "it's",
    ]  # fmt: skip


def test_texts_of_several_lines_are_no_rows():
    texts = ['"one\ntwo, three, four, five, six\n\nseven"', '"a\nb"']
    assert len(rows(HEADER + "".join(line(i, text) for i, text in enumerate(texts)))[0]) == 2
    first = "said,path,label\n" + '"one\ntwo",a.wav,yes\n' + '"three, x.wav\nfour",b.wav,no\n'
    assert [row["path"] for row in rows(first)[1]] == ["a.wav", "b.wav"]


@pytest.mark.parametrize("opened, closed", [(2, 3), (2, 9), (4, 7)])
def test_a_quotation_mark_that_swallows_rows_is_named_by_its_line(opened, closed):
    said = {opened: '"hello', closed: 'bye"'}
    text = HEADER + "".join(line(i, said.get(i, "ok")) for i in range(2, 12))
    with pytest.raises(
        ValueError,
        match=f"a.csv, line {opened}: a quotation mark .* goes on to line {closed} and takes in {closed - opened} other",
    ):
        rows(text)
    middle = "path,said,label\n" + "".join(f"c{i}.wav,{said.get(i, 'ok')},yes\n" for i in range(2, 12))
    with pytest.raises(ValueError, match=f"a.csv, line {opened}: a quotation mark .* takes in {closed - opened} other"):
        rows(middle)


def test_a_quotation_mark_that_swallows_a_line_and_cells_is_named_by_its_line():
    text = 'path,label,said\na.wav,yes,ok\n"b.wav,no,ok\nc.wav",up,ok,ok\nd.wav,no,ok\n'
    with pytest.raises(ValueError, match="a.csv, line 3: a quotation mark .* goes on to line 4, and 4 cells for 3 columns"):
        rows(text)


@pytest.mark.parametrize("cell", ['"hello', '"hello" x', '"a"b"'])
def test_a_quotation_mark_that_is_not_closed_is_named_by_its_line(cell):
    with pytest.raises(ValueError, match=r"a.csv, line 3: a quotation mark that begins a cell must end it"):
        rows(HEADER + line(1) + line(2, cell) + line(3))


@pytest.mark.parametrize("wrong, text", [
    ("c2.wav,train,yes", r"expected 5 cells \(path, split, speaker, label, said\), got 3: 'c2.wav,train,yes'; compare the line with the header, and insert what is missing where it belongs; an empty cell needs its comma too"),
    ("c2.wav,train,s,yes,a,b", ".* got 6: 'c2.wav,train,s,yes,a,b'; put a cell with a comma in it into quotation marks"),
])  # fmt: skip
def test_short_and_long_rows_are_named_by_their_line(wrong, text):
    with pytest.raises(ValueError, match=f"a.csv, line 4: a row must have one cell for each column; {text}"):
        rows(HEADER + "\n" + line(1) + wrong + "\n" + line(3))


def test_empty_rows_are_counted(capsys):
    assert rows(HEADER + line(1) + ",,,,\n , ,,,\n\n")[0] == [2]
    assert "a.csv: 2 rows with empty cells only are left out" in capsys.readouterr().out


def test_a_table_without_a_header():
    with pytest.raises(ValueError, match="a.csv: a table must have a header"):
        rows("\n\n")
