"""Style and saving of all figures. They are made without pyplot, which would keep them in memory."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

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
    """Write a figure atomically. The suffix of the path (svg, png) decides the format."""
    file_format = Path(path).suffix[1:]
    with atomic(path) as temporary:
        figure.savefig(temporary, format=file_format, metadata={"Date": None} if file_format == "svg" else None)


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
