"""Plot the ways of tuning next to each other, with one panel per comparison."""

import numpy as np

from evaluation.figures import ACCENT, GREY, new_figure, save
from storage import tables
from superb.schemas import SUPERB_SUMMARY

PANEL_COLUMNS = 3


def panels(frame):
    """Yield (title, rows) of each panel: the tasks of one kind on one corpus, encoder and metric."""
    for (kind, corpus, encoder, metric), rows in frame.groupby(["kind", "corpus", "encoder", "metric"], sort=True):
        better = "higher" if rows.higher_is_better.iloc[0] else "lower"
        yield f"{kind} on {corpus}, {encoder}\n{metric}, {better} is better, n = {rows.num_rows.max()}", rows


def task_label(row):
    """Return the name of a task in its panel, such as `deep_prompt10, 10 % (81,681)`."""
    percentage = "" if row.fraction == 1 else f", {100 * row.fraction:g} %"
    return f"{row.tuning}{percentage} ({row.trained_parameters:,})"


def draw_panel(axes, title, rows):
    """Draw one line per task: a dot for each seed, a diamond for the mean, and its interval.

    Args:
        axes: the panel.
        title: title of the panel.
        rows: data frame with the rows of `SUPERB_SUMMARY` to draw.
    """
    ordered = rows.sort_values(["fraction", "trained_parameters"], ascending=[False, True])
    labels = []
    for place, name in enumerate(dict.fromkeys(ordered.superb_task)):
        task_rows = rows[rows.superb_task == name]
        task = task_rows.iloc[0]
        errors = np.abs([[task["mean"] - task.low], [task.high - task["mean"]]])
        axes.errorbar(task["mean"], place, xerr=errors, fmt="D", color=ACCENT, capsize=3)
        axes.plot(task_rows.value, np.full(len(task_rows), place), "o", color=GREY, markersize=3)
        labels.append(task_label(task))
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=8)


def draw(frame):
    """Return the figure of `SUPERB_SUMMARY`, given as a data frame."""
    comparisons = list(panels(frame))
    num_columns = min(PANEL_COLUMNS, len(comparisons))
    num_rows = -(-len(comparisons) // PANEL_COLUMNS)
    figure = new_figure(5 * num_columns, 2.6 * num_rows)
    grid = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes, (title, rows) in zip(grid, comparisons):
        draw_panel(axes, title, rows)
    for axes in grid[len(comparisons) :]:
        axes.set_visible(False)
    return figure


def plot_superb(*, summary, figure):
    """Stage: plot the summary of SUPERB tasks.

    Args:
        summary: table of `SUPERB_SUMMARY`.
        figure: figure to write.
    """
    save(draw(tables.read(summary, SUPERB_SUMMARY).to_pandas()), figure)
