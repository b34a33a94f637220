"""What encoders are worth: how well each one does over its parameters, multiply-adds and time, and how far below its parent."""

from itertools import cycle, islice

import numpy as np

from evaluation.figures import GREY, PALETTE, new_figure, save
from storage import tables
from ulm.schemas import ENCODERS_SUMMARY

COSTS = dict(  # column → label, factor
    parameters=("parameters that are not 0 (millions)", 1e-6),
    multiply_adds=("multiply-adds a second of speech (millions)", 1e-6),
    real_time_factor=("ms to encode a second of speech", 1e3),
)
MEASURES = dict(  # column → label, factor
    difference=("accuracy less the parent's (points)", 100),
    probe_accuracy=("accuracy of a linear probe", 1),
    agreement=("agreement with the parent's units", 1),
)
MARKERS = "osD^vP*X"


def points(frame, cost):
    """Values `[N]` of a cost on the axis; zeros of a sparse encoder take no parameter."""
    values = frame[cost] * (frame.density if cost == "parameters" else 1)
    return values * COSTS[cost][1]


def errors(frame, column, factor=1):
    """How far a column's interval reaches below and above it `[2, N]`; NaN where it has none."""
    if f"{column}_low" not in frame:
        return np.full((2, len(frame)), np.nan)
    value, low, high = (frame[name].astype(float) * factor for name in (column, f"{column}_low", f"{column}_high"))
    return np.array([value - low, high - value]).clip(0)  # a rounded −0 is refused as a length


def draw_costs(panels, frame, styles):
    """Accuracy over each cost, a dash for each unit LM, a line to the parent; where no encoder has a task, the probe's."""
    column = "accuracy" if frame.accuracy.notna().any() else "probe_accuracy"
    place, heights, spread = {name: i for i, name in enumerate(frame.encoder)}, frame[column].astype(float), errors(frame, column)
    for axes, (cost, (title, _)) in zip(panels, COSTS.items()):
        x = points(frame, cost)
        for i, parent in enumerate(frame.parent):
            axes.errorbar(x[i], heights[i], spread[:, [i]], **styles[i])
            axes.plot([x[i]] * len(frame.accuracies[i]), frame.accuracies[i], "_", color=styles[i]["color"])
            if parent in place:
                ends = [place[parent], i]
                axes.plot(x[ends], heights[ends], color=GREY, linewidth=0.6, zorder=1)
        axes.set(xlabel=title, xlim=(0, 1.1 * max(x.max(), 1e-9)))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("accuracy of the task" if column == "accuracy" else "accuracy of a linear probe")


def draw_measures(panels, frame, styles):
    """A row an encoder, as in the summary: how far it is below its parent, and what its features and units know."""
    rows = np.arange(len(frame))
    for axes, (column, (title, factor)) in zip(panels, MEASURES.items()):
        spread, values = errors(frame, column, factor), frame[column].astype(float) * factor
        for i in rows:
            axes.errorbar(values[i], i, xerr=spread[:, [i]], **styles[i])
        axes.set(xlabel=title, yticks=rows, yticklabels=frame.encoder)
        axes.grid(alpha=0.3)
        if column == "difference":
            axes.axvline(0, color=GREY, linewidth=0.8)
        else:
            axes.set_xlim(0, 1.05)
    panels[0].invert_yaxis()


def draw(frame):
    """Figure of the rows of `ENCODERS_SUMMARY` as a data frame, each in a colour and a marker of its own."""
    figure = new_figure(4.2 * len(COSTS), 5 + 0.25 * len(frame))
    figure.suptitle(f"{len(frame)} encoders; probe and agreement: {', '.join(sorted(set(frame.corpus)))}", fontsize=10)
    looks = islice(zip(cycle(PALETTE), cycle(MARKERS)), len(frame))
    styles = [dict(color=colour, fmt=marker, elinewidth=0.8) for colour, marker in looks]
    grid = figure.subplots(2, len(COSTS), sharey="row")
    draw_costs(grid[0], frame, styles)
    draw_measures(grid[1], frame, styles)
    return figure


def plot_encoders(*, summary, figure):
    """Stage: `figure` of the encoders of a summary."""
    save(draw(tables.read(summary, ENCODERS_SUMMARY).to_pandas()), figure)
