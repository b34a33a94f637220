"""Figure of the confusion matrix of a task's test split."""

import numpy as np

from evaluation.figures import new_figure, save
from storage import tables
from ulm.schemas import CONFUSION

MAX_CLASSES_WITH_NUMBERS = 20  # in a larger matrix, numbers do not fit into the cells
OTHER = "other"  # name of the rare classes together
DARK_BELOW = 55  # percent; cells below have white numbers


def matrix(frame, max_classes):
    """Return the names of C classes and an array of counts `[C, C]` over all seeds; row: reference, column: prediction.

    Args:
        frame: rows of `CONFUSION`.
        max_classes: maximum number of classes. If there are more, the rarest references become one class, `other`.
    """
    frequency = frame.groupby("label")["count"].sum()
    names = sorted(set(frame.label) | set(frame.predicted_label), key=lambda name: (-frequency.get(name, 0), name))
    if len(names) <= max_classes:
        kept = sorted(names)
        shown = kept
    else:
        kept = sorted(names[: max_classes - 1])
        shown = [*kept, OTHER]
    index_of = {name: kept.index(name) if name in kept else len(kept) for name in names}
    counts = np.zeros((len(shown), len(shown)), np.int64)
    np.add.at(counts, (frame.label.map(index_of), frame.predicted_label.map(index_of)), frame["count"])
    return shown, counts


def percent_of_rows(counts):
    """Return counts `[C, C]` in percent of the sum of their row (reference); 0 in empty rows."""
    return 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)


def draw(names, counts, num_seeds):
    """Return the figure of a matrix in percent of each row.

    Args:
        names, counts: the result of `matrix`.
        num_seeds: number of seeds, for the title.
    """
    percents = percent_of_rows(counts)
    size = 2 + 0.32 * len(names)  # inches
    figure = new_figure(size + 1, size)
    axes = figure.subplots()
    image = axes.imshow(percents, cmap="cividis", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="predictions, % of the reference class", shrink=0.8)
    ticks = np.arange(len(names))
    axes.set(xticks=ticks, yticks=ticks, yticklabels=names, xlabel="predicted class", ylabel="reference class")
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_title(f"{counts.sum()} predictions on the test split, seeds: {num_seeds}")
    axes.spines[:].set_visible(False)
    if len(names) <= MAX_CLASSES_WITH_NUMBERS:
        print_numbers(axes, percents)
    return figure


def print_numbers(axes, percents):
    """Write rounded percentages into the cells, except into those that round to 0."""
    for (row, column), percent in np.ndenumerate(percents):
        if percent >= 0.5:
            colour = "black" if percent > DARK_BELOW else "white"
            axes.text(column, row, f"{percent:.0f}", ha="center", va="center", fontsize=7, color=colour)


def plot_confusion(*, confusion, figure, max_classes):
    """Stage: draw the confusion matrix of a task.

    Args:
        confusion: table of `CONFUSION`.
        figure: figure to write.
        max_classes: maximum number of rows and columns.
    """
    frame = tables.read(confusion, CONFUSION).to_pandas()
    names, counts = matrix(frame, max_classes)
    save(draw(names, counts, frame.seed.nunique()), figure)
