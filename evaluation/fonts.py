"""Fonts for labels in other scripts: matplotlib's own font has Latin, Greek, Cyrillic, Arabic and Hebrew letters, but no Chinese."""

import unicodedata

from matplotlib import font_manager, ft2font

PLACEHOLDERS = "Last Resort"  # matplotlib's font of boxes, which claims to have all characters
PACKAGES = dict.fromkeys(("CJK", "Hiragana", "Katakana", "Hangul", "Bopomofo"), "fonts-noto-cjk") | dict(symbols="fonts-symbola")


def default_characters():
    """Return the code points of the font that figures use."""
    return _code_points(font_manager.findfont(font_manager.FontProperties()))


def fonts_with(characters):
    """Find installed fonts that together have as many of some characters as possible.

    Args:
        characters: set of characters.

    Returns:
        Names of font families, and the set of characters that no font has.
    """
    _add_new_fonts()
    entries = {entry.name: entry for entry in font_manager.fontManager.ttflist if _is_upright(entry)}
    covered = {name: {c for c in characters if ord(c) in _code_points(entry.fname)} for name, entry in entries.items()}
    left = set(characters)
    families = []
    while left:
        best = max(sorted(covered), key=lambda name: len(covered[name] & left), default=None)
        if best is None or not covered[best] & left:
            break
        families.append(best)
        left -= covered[best]
    return families, left


def missing_text(characters):
    """Return what a message says about characters without a font: their scripts, some of them, and what to install."""
    scripts = sorted({script_of(c) for c in characters})
    packages = sorted({PACKAGES.get(script, "fonts-noto-core") for script in scripts})
    shown = " ".join(sorted(characters)[:8])
    return (
        f"no installed font has these characters, which are boxes in the figure: {shown} ({len(characters)} of "
        f"{', '.join(scripts)}); install one and draw the figure again, on Debian or Ubuntu with: sudo apt install "
        f"{' '.join(packages)}; elsewhere, put its .ttf file into ~/.local/share/fonts"
    )


def script_of(character):
    """Return the script of a letter, which is the first word of its Unicode name, such as `Devanagari`; else `symbols`."""
    if unicodedata.category(character).startswith("S"):
        return "symbols"
    name = unicodedata.name(character, "UNKNOWN").split()[0].split("-")[0]
    return name if name == "CJK" else name.capitalize()


def _is_upright(entry):
    return entry.style == "normal" and entry.weight in (400, "normal", "regular") and PLACEHOLDERS not in entry.name


def _add_new_fonts():
    """Tell matplotlib about fonts that were installed after it wrote its list of fonts."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        try:
            font_manager.fontManager.addfont(path)
        except (OSError, RuntimeError, ValueError):  # a font that matplotlib cannot read, such as one of coloured bitmaps
            continue


def _code_points(path):
    """Return the code points of the characters that a font file has; an empty set if it cannot be read."""
    try:
        return ft2font.FT2Font(path).get_charmap().keys()
    except (OSError, RuntimeError, ValueError):
        return set()
