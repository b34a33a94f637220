"""Confusion matrix of a task's test split."""

import numpy as np

from evaluation.figures import new_figure, save
from storage import tables
from ulm.schemas import CONFUSION

MAX_PRINTED = 20  # classes up to which the numbers fit into the cells


def matrix(frame, max_classes):
    """Classes and counts `[C, C]` (row: said, column: decoded) over all seeds; after `max_classes` − 1 by frequency: other."""
    said = frame.groupby("label")["count"].sum()
    names = sorted(set(frame.label) | set(frame.predicted_label), key=lambda name: (-said.get(name, 0), name))
    kept = names if len(names) <= max_classes else names[: max_classes - 1]
    shown = sorted(kept) + ([] if len(kept) == len(names) else ["other"])
    place = {name: shown.index(name) if name in kept else len(shown) - 1 for name in names}
    counts = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(counts, (frame.label.map(place), frame.predicted_label.map(place)), frame["count"])
    return shown, counts


def percent_of_rows(counts):
    """Counts `[C, C]` → percent of what was said; 0 where a class was never said."""
    return 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)


def draw(names, counts, num_seeds):
    """Figure: the matrix in percent of each row."""
    share, size = percent_of_rows(counts), 2 + 0.32 * len(names)
    figure = new_figure(size + 1, size)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="cividis", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="decoded, % of what was said", shrink=0.8)
    ticks = np.arange(len(names))
    axes.set(xticks=ticks, yticks=ticks, yticklabels=names, xlabel="decoded class", ylabel="class said")
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_title(f"{counts.sum()} decoded in the test split, seeds: {num_seeds}")
    axes.spines[:].set_visible(False)
    if len(names) <= MAX_PRINTED:
        print_cells(axes, share)
    return figure


def print_cells(axes, share):
    """Whole percents into the cells that round to more than 0."""
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color="black" if value > 55 else "white")


def plot_confusion(*, confusion, figure, max_classes):
    """Stage: `figure` of a task; at most `max_classes` rows and columns."""
    frame = tables.read(confusion, CONFUSION).to_pandas()
    save(draw(*matrix(frame, max_classes), frame.seed.nunique()), figure)
