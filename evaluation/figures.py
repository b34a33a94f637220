"""Style and saving of all figures. They are made without pyplot, which would keep them in memory."""

import re
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from evaluation.fonts import default_characters, fonts_with, missing_text
from storage.errors import notice
from storage.files import atomic
from storage.schemas import SPLITS

# Colours that are distinct with any colour vision. Source: Okabe and Ito 2008, "Color Universal Design", without their yellow
PALETTE = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")
SPLIT_COLOURS = dict(train="#0072B2", dev="#E69F00", test="#009E73")
ACCENT = "#D55E00"
GREY = "#767676"
MAX_MEDIANS = 5  # a histogram ends at this multiple of the median; its last bar holds what is larger
STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "savefig.dpi": 110,
    "text.parse_math": False,  # a label such as `US$` is no formula
    "svg.hashsalt": "speech2unit",  # makes the bytes of equal figures equal
}
matplotlib.rcParams.update(STYLE)


def new_figure(width, height):
    """Return an empty figure of `width` × `height` inches."""
    return Figure(figsize=(width, height))


def save(figure, path):
    """Write a figure atomically. The suffix of the path (svg, png) decides the format.

    If the usual font lacks characters of the texts, such as Chinese ones, other installed fonts provide them. If no font has them,
    a notice names them and what to install.
    """
    file_format = Path(path).suffix[1:]
    with atomic(path) as temporary:
        if not _draw(figure, temporary, file_format):
            return
        texts = figure.findobj(Text)
        usual = default_characters()
        characters = {c for text in texts for c in text.get_text() if ord(c) not in usual and not c.isspace()}
        families, without_font = fonts_with(characters)
        for text in texts:
            text.set_fontfamily([*text.get_fontfamily(), *families])
        if _draw(figure, temporary, file_format) and without_font:
            notice(f"{path}: {missing_text(without_font)}")


def _draw(figure, path, file_format):
    """Write a figure; return whether its fonts lack characters of its texts."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(path, format=file_format, metadata={"Date": None} if file_format == "svg" else None)
    is_missing = [bool(re.match(r"Glyph \d+ .* missing from font", str(warning.message))) for warning in caught]
    for warning in (warning for warning, is_about_glyph in zip(caught, is_missing) if not is_about_glyph):
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return any(is_missing)


def histogram_end(values):
    """Return where the axis of `split_histograms` ends: at the largest value, at most `MAX_MEDIANS` times the median.

    Without this limit, a single long recording would press all others into the first bars.

    Args:
        values: dict from each split to one positive number per utterance.
    """
    together = np.concatenate(list(values.values()))
    return min(together.max(), MAX_MEDIANS * np.median(together))


def split_histograms(values, edges, label, title):
    """Return a figure with one histogram per split and a dashed line at the median.

    Values above the last edge are counted in the last bar, and the title of the panel says how many they are.

    Args:
        values: dict from each split to one number per utterance.
        edges: rising edges of the bins.
        label: label of the horizontal axis.
        title: title of the figure.
    """
    figure = new_figure(7.5, 4.5)
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(len(values), sharex=True, squeeze=False)[:, 0]
    for axes, split in zip(panels, (split for split in SPLITS if split in values)):
        median = np.median(values[split])
        num_larger = int((values[split] > edges[-1]).sum())
        axes.hist(np.minimum(values[split], edges[-1]), edges, color=SPLIT_COLOURS[split])
        axes.axvline(median, color="black", linewidth=1, linestyle="--")
        note = f"; last bar: {num_larger} above {edges[-1]:.3g}, up to {values[split].max():.4g}" if num_larger else ""
        axes.set_title(f"{split}: {len(values[split])} utterances, median {median:.3g} (dashed){note}")
        axes.set_ylabel("utterances")
    panels[-1].set_xlabel(label)
    panels[-1].set_xlim(edges[0], edges[-1])
    return figure
