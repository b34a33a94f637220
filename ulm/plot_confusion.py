"""Figure of the confusion matrix of a task's test split."""

import numpy as np
from matplotlib import colormaps

from evaluation.figures import GREY, new_figure, save
from storage import tables
from ulm.schemas import CONFUSION

MAX_CLASSES_WITH_NUMBERS = 20  # in a larger matrix, numbers do not fit into the cells
OTHER = "other"  # name of the rare classes together
COLOURS = colormaps["Blues"].with_extremes(bad="#cccccc")  # from white to blue; grey where there is nothing to divide by
DARK_ABOVE = 55  # percent; cells above have white numbers
MIN_WIDTH = 5.0  # inches, so that the title fits


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
    """Return counts `[C, C]` in percent of the sum of their row (reference); NaN in rows without references."""
    sums = counts.sum(1, keepdims=True)
    return np.divide(100 * counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)


def draw(names, counts, num_seeds):
    """Return the figure of a matrix in percent of each row, with the number of references of each class on the right.

    Args:
        names, counts: the result of `matrix`.
        num_seeds: number of seeds; every seed has the same references.
    """
    percents = percent_of_rows(counts)
    size = 2 + 0.32 * len(names)  # inches
    figure = new_figure(max(size + 1.5, MIN_WIDTH), size)
    axes = figure.subplots()
    image = axes.imshow(percents, cmap=COLOURS, vmin=0, vmax=100)
    ticks = np.arange(len(names))
    axes.set(xticks=ticks, yticks=ticks, yticklabels=names, xlabel="predicted class", ylabel="true class")
    axes.set_xticks(ticks, names, rotation=90)
    num_references = axes.secondary_yaxis("right")
    num_references.set_yticks(ticks, [f"{count / num_seeds:,.1f}".removesuffix(".0") for count in counts.sum(1)])
    num_references.set_ylabel("n in the test split")
    figure.colorbar(image, ax=axes, label="predictions, % of n", shrink=0.8)
    axes.spines[:].set(visible=True, color=GREY)
    num_references.spines["right"].set_visible(False)
    for side in (axes, num_references):
        side.tick_params(length=0)
    title = f"{counts.sum():,} predictions on the test split, seeds: {num_seeds}"
    axes.set_title(title + "\ngrey: never true in the test split" * bool(np.isnan(percents).any()))
    if len(names) <= MAX_CLASSES_WITH_NUMBERS:
        print_numbers(axes, percents)
    return figure


def print_numbers(axes, percents):
    """Write rounded percentages into the cells, except into those that round to 0."""
    for (row, column), percent in np.ndenumerate(percents):
        if percent >= 0.5:
            colour = "white" if percent > DARK_ABOVE else "black"
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
