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


def split_histograms(values, edges, label, title):
    """Return a figure with one histogram per split and a dashed line at the median.

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
        axes.hist(values[split], edges, color=SPLIT_COLOURS[split])
        axes.axvline(median, color="black", linewidth=1, linestyle="--")
        axes.set_title(f"{split}: {len(values[split])} utterances, median {median:.3g} (dashed)")
        axes.set_ylabel("utterances")
    panels[-1].set_xlabel(label)
    panels[-1].set_xlim(edges[0], edges[-1])
    return figure
