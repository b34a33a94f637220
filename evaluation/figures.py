"""How every figure looks and is saved; figures are made without pyplot, so nothing outlives them."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from storage.files import atomic
from storage.schemas import SPLITS

# Okabe and Ito 2008, "Color Universal Design": told apart with any colour vision
SPLIT_COLOURS = dict(train="#0072B2", dev="#E69F00", test="#009E73")
ACCENT, GREY = "#D55E00", "#767676"
PALETTE = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7")  # theirs but for yellow
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
    "svg.hashsalt": "speech2unit",
}
matplotlib.rcParams.update(STYLE)  # the salt makes equal figures equal bytes


def new_figure(width, height):
    """An empty figure of `width` × `height` inches."""
    return Figure(figsize=(width, height))


def save(figure, path):
    """Write a figure, whole or not at all; the name's ending (svg, png) is the format."""
    kind = Path(path).suffix[1:]
    with atomic(path) as temporary:
        figure.savefig(temporary, format=kind, metadata={"Date": None} if kind == "svg" else None)


def split_histograms(values, edges, label, title):
    """Figure of split → numbers: a panel for each split, counts between `edges` (rising values), the median dashed."""
    figure = new_figure(7.5, 4.5)
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(len(values), sharex=True, squeeze=False)[:, 0]
    for axes, split in zip(panels, (s for s in SPLITS if s in values)):
        median = np.median(values[split])
        axes.hist(values[split], edges, color=SPLIT_COLOURS[split])
        axes.axvline(median, color="black", linewidth=1, linestyle="--")
        axes.set_title(f"{split}: {len(values[split])} utterances, median {median:.3g} (dashed)")
        axes.set_ylabel("utterances")
    panels[-1].set_xlabel(label)
    panels[-1].set_xlim(edges[0], edges[-1])
    return figure
