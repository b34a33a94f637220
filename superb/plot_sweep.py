"""Plot the metric of a task over the learning rate."""

from evaluation.figures import ACCENT, SPLIT_COLOURS, new_figure, save
from storage import tables
from superb.schemas import SWEEP


def draw(frame):
    """Return the figure of a data frame of `SWEEP`.

    It has a dot for each seed, a line through the means, and a dashed line at the best learning rate.
    """
    figure = new_figure(5.5, 3.5)
    axes = figure.subplots()
    for split, column in (("dev", "dev_value"), ("test", "value")):
        means = frame.groupby("learning_rate")[column].mean()
        axes.plot(means.index, means, color=SPLIT_COLOURS[split], label=split)
        axes.plot(frame.learning_rate, frame[column], "o", color=SPLIT_COLOURS[split], markersize=3)
    best = frame[frame.best].learning_rate.iloc[0]
    axes.axvline(best, color=ACCENT, linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="learning rate of the head", ylabel=frame.metric.iloc[0])
    axes.set_title(f"best on dev: {best:g} (dashed), seeds: {frame.seed.nunique()}")
    axes.legend()
    return figure


def plot_sweep(*, sweep, figure):
    """Stage: plot the sweep of a task.

    Args:
        sweep: table of `SWEEP`.
        figure: figure to write.
    """
    save(draw(tables.read(sweep, SWEEP).to_pandas()), figure)
