"""Labels in other scripts: a font that has them is found, or a notice names the characters and what to install."""

import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.artist import Artist

from evaluation.figures import new_figure, save
from evaluation.fonts import fonts_with, missing_text, script_of


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that replaces the fonts of the system by one with a black square for each of some characters."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [])

    def install(characters):
        pen = TTGlyphPen(None)
        for move, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (0, 900)), (pen.lineTo, (900, 900)), (pen.lineTo, (900, 0))):
            move(point)
        pen.closePath()
        builder = FontBuilder(1000)
        builder.setupGlyphOrder([".notdef", "square"])
        builder.setupCharacterMap(dict.fromkeys(map(ord, characters), "square"))
        builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
        builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 0)})
        builder.setupHorizontalHeader(ascent=900, descent=-100)
        builder.setupNameTable(dict(familyName="Squares", styleName="Regular"))
        builder.setupOS2(usWeightClass=400)
        builder.setupPost()
        builder.save(tmp_path / "squares.ttf")
        (tmp_path / "broken.ttf").write_bytes(b"no font")
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(tmp_path / n) for n in ("broken.ttf", "squares.ttf")])

    return install


def figure_with(*labels):
    figure = new_figure(3, 2)
    figure.subplots().set_yticks(range(len(labels)), labels)
    return figure


@pytest.mark.slow
@pytest.mark.parametrize("label, script, package", [
    ("开灯", "CJK", "fonts-noto-cjk"), ("हाँ", "Devanagari", "fonts-noto-core"), ("ใช่", "Thai", "fonts-noto-core"), ("🎉", "symbols", "fonts-symbola"),
])  # fmt: skip
def test_characters_without_a_font_are_named_with_what_to_install(installed, tmp_path, capsys, label, script, package):
    save(figure_with("yes", label), tmp_path / "confusion.svg")
    text = capsys.readouterr().out
    assert text.startswith(f"{tmp_path}/confusion.svg: no installed font has these characters, which are boxes in the figure: ")
    assert all(c in text for c in label) and script in text and f"sudo apt install {package};" in text
    assert (tmp_path / "confusion.svg").stat().st_size > 1000


@pytest.mark.slow
def test_a_font_of_the_system_is_used(installed, tmp_path, capsys):
    installed("开灯关")
    save(figure_with("yes", "开灯", "关灯"), tmp_path / "x.png")
    assert capsys.readouterr().out == ""
    assert fonts_with({"开", "好"}) == (["Squares"], {"好"})


@pytest.mark.slow
def test_what_no_font_has_is_named_although_another_font_has_the_rest(installed, tmp_path, capsys):
    installed("开灯")
    save(figure_with("开灯", "好"), tmp_path / "x.png")
    assert "boxes in the figure: 好 (1 of CJK)" in capsys.readouterr().out


def test_other_labels_are_drawn_as_before(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evaluation.figures.fonts_with", lambda characters: pytest.fail("no font is missing"))
    save(figure_with("ja", "näin", "да", "ναι", "نعم", "US$"), tmp_path / "x.svg")
    assert capsys.readouterr().out == ""


class Warner(Artist):
    """Something in a figure that warns when it is drawn."""

    def draw(self, renderer):
        warnings.warn("about something else", stacklevel=1)


def test_other_warnings_pass(tmp_path):
    figure = figure_with("yes")
    figure.add_artist(Warner())
    with pytest.warns(UserWarning, match="about something else"):
        save(figure, tmp_path / "x.png")


def test_scripts():
    assert [script_of(c) for c in "开あहن😀"] == ["CJK", "Hiragana", "Devanagari", "Arabic", "symbols"]
    assert "sudo apt install fonts-noto-cjk fonts-noto-core;" in missing_text(set("开ह"))
