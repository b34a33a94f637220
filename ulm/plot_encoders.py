"""Figure of encoders: accuracy against costs, difference from the parent, and quality of features and units."""

from itertools import cycle, islice

import numpy as np

from evaluation.figures import GREY, PALETTE, new_figure, save
from storage import tables
from ulm.schemas import ENCODERS_SUMMARY

COSTS = dict(  # column → axis label, factor
    parameters=("non-zero parameters (millions)", 1e-6),
    multiply_adds=("multiply-adds per second of speech (millions)", 1e-6),
    real_time_factor=("ms to encode one second of speech", 1e3),
)
MEASURES = dict(  # column → axis label, factor
    difference=("accuracy minus the parent's (points)", 100),
    probe_accuracy=("accuracy of a linear probe", 1),
    agreement=("agreement with the parent's units", 1),
)
MARKERS = "osD^vP*X"


def cost_values(frame, cost):
    """Return the values `[N]` of a column of `COSTS` in the unit of its axis. Weights that are 0 do not count as parameters."""
    _, factor = COSTS[cost]
    density = frame.density if cost == "parameters" else 1
    return frame[cost] * density * factor


def errors(frame, column, factor=1):
    """Return the lengths of intervals for error bars.

    Args:
        frame: data frame with N rows of `ENCODERS_SUMMARY`.
        column: name of the column of values.
        factor: factor of the unit of the axis.

    Returns:
        Array `[2, N]`: the lengths below and above each value; NaN if the value has no interval.
    """
    if f"{column}_low" not in frame:
        return np.full((2, len(frame)), np.nan)
    value = frame[column].astype(float) * factor
    low = frame[f"{column}_low"].astype(float) * factor
    high = frame[f"{column}_high"].astype(float) * factor
    return np.array([value - low, high - value]).clip(0)  # matplotlib refuses a length of −1e-17


def draw_costs(panels, frame, styles):
    """Draw the accuracy against each cost, with a dash for each unit LM and a line from each encoder to its parent.

    If no encoder has a task, the accuracy of the linear probe is drawn.

    Args:
        panels: one panel (matplotlib `Axes`) per cost.
        frame: rows of `ENCODERS_SUMMARY`.
        styles: list of keyword arguments of `errorbar`, one dict per encoder.
    """
    column = "accuracy" if frame.accuracy.notna().any() else "probe_accuracy"
    index_of = {name: i for i, name in enumerate(frame.encoder)}
    heights = frame[column].astype(float)
    lengths = errors(frame, column)
    for axes, (cost, (title, _)) in zip(panels, COSTS.items()):
        x = cost_values(frame, cost)
        for i, parent in enumerate(frame.parent):
            axes.errorbar(x[i], heights[i], lengths[:, [i]], **styles[i])
            axes.plot([x[i]] * len(frame.accuracies[i]), frame.accuracies[i], "_", color=styles[i]["color"])
            if parent in index_of:
                ends = [index_of[parent], i]
                axes.plot(x[ends], heights[ends], color=GREY, linewidth=0.6, zorder=1)
        axes.set(xlabel=title, xlim=(0, 1.1 * max(x.max(), 1e-9)))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy of the task" if column == "accuracy" else "accuracy of a linear probe")


def draw_measures(panels, frame, styles):
    """Draw each of `MEASURES` with one line per encoder, in the order of the summary. For the arguments see `draw_costs`."""
    lines = np.arange(len(frame))
    for axes, (column, (title, factor)) in zip(panels, MEASURES.items()):
        values = frame[column].astype(float) * factor
        lengths = errors(frame, column, factor)
        for i in lines:
            axes.errorbar(values[i], i, xerr=lengths[:, [i]], **styles[i])
        axes.set(xlabel=title, yticks=lines, yticklabels=frame.encoder)
        axes.grid(alpha=0.3)
        if column == "difference":
            axes.axvline(0, color=GREY, linewidth=0.8)
        else:
            axes.set_xlim(0, 1.05)
    panels[0].invert_yaxis()


def draw(frame):
    """Return the figure of rows of `ENCODERS_SUMMARY`. Each encoder has a colour and a marker of its own."""
    figure = new_figure(4.2 * len(COSTS), 5 + 0.25 * len(frame))
    figure.suptitle(f"{len(frame)} encoders; probe and agreement: {', '.join(sorted(set(frame.corpus)))}", fontsize=10)
    colours_and_markers = islice(zip(cycle(PALETTE), cycle(MARKERS)), len(frame))
    styles = [dict(color=colour, fmt=marker, elinewidth=0.8) for colour, marker in colours_and_markers]
    grid = figure.subplots(2, len(COSTS), sharey="row")
    draw_costs(grid[0], frame, styles)
    draw_measures(grid[1], frame, styles)
    return figure


def plot_encoders(*, summary, figure):
    """Stage: draw the encoders of a summary.

    Args:
        summary: table of `ENCODERS_SUMMARY`.
        figure: figure to write.
    """
    save(draw(tables.read(summary, ENCODERS_SUMMARY).to_pandas()), figure)
