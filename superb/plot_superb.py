"""Ways of tuning side by side: one panel a task, each seed's value and the mean with its interval."""

import numpy as np

from evaluation.figures import ACCENT, GREY, new_figure, save
from storage import tables
from superb.schemas import SUPERB_SUMMARY

PANEL_COLUMNS = 3


def panels(frame):
    """(title, rows of `SUPERB_SUMMARY`) of each comparison: one kind, corpus, encoder and metric."""
    for (kind, corpus, encoder, metric), rows in frame.groupby(["kind", "corpus", "encoder", "metric"], sort=True):
        better = "higher" if rows.higher_is_better.iloc[0] else "lower"
        yield f"{kind} on {corpus}, {encoder}\n{metric}, {better} is better, n = {rows.num_rows.max()}", rows


def label_of(row):
    """`deep_prompt10, 10 %`: the way of tuning, and the part of the training split where it is not all of it."""
    return row.tuning if row.fraction == 1 else f"{row.tuning}, {100 * row.fraction:g} %"


def draw_panel(axes, title, rows):
    """A line for each task: seeds as dots, the mean's interval as a bar."""
    names = list(dict.fromkeys(rows.sort_values(["fraction", "trained_parameters"], ascending=[False, True]).superb_task))
    for place, name in enumerate(names):
        own = rows[rows.superb_task == name]
        one = own.iloc[0]
        axes.errorbar(
            one["mean"], place, xerr=np.abs([[one["mean"] - one.low], [one.high - one["mean"]]]), fmt="D", color=ACCENT, capsize=3
        )
        axes.plot(own.value, np.full(len(own), place), "o", color=GREY, markersize=3)
    tasks = [rows[rows.superb_task == name].iloc[0] for name in names]
    axes.set_yticks(range(len(names)), [f"{label_of(row)} ({row.trained_parameters:,})" for row in tasks])
    axes.invert_yaxis()
    axes.set_title(title, fontsize=8)


def draw(frame):
    """Figure of `SUPERB_SUMMARY` as a data frame."""
    found = list(panels(frame))
    height = -(-len(found) // PANEL_COLUMNS)
    figure = new_figure(5 * min(PANEL_COLUMNS, len(found)), 2.6 * height)
    grid = figure.subplots(height, min(PANEL_COLUMNS, len(found)), squeeze=False).ravel()
    for axes, (title, rows) in zip(grid, found):
        draw_panel(axes, title, rows)
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    return figure


def plot_superb(*, summary, figure):
    """Stage: `figure` of the table of results."""
    save(draw(tables.read(summary, SUPERB_SUMMARY).to_pandas()), figure)
