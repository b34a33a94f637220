"""Figure of learning curves: one panel per measure, one colour per split, one line per seed."""

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from storage import tables
from storage.schemas import SPLITS, TRAINING

AXIS_LABELS = dict(loss="loss (nats per target)", accuracy="accuracy (fraction)")


def plot_training(*, training, figure):
    """Stage: draw the learning curves of an encoder, a unit LM or the prompts of a task.

    Args:
        training: table of `TRAINING`.
        figure: figure to write.
    """
    save(draw(tables.read(training, TRAINING).to_pandas()), figure)


def draw(frame):
    """Return the figure of a data frame with the columns of `TRAINING`."""
    measures = sorted(frame.measure.unique(), key=lambda measure: (measure != "loss", measure))
    kept = kept_updates(frame)
    figure = new_figure(0.5 + 4.5 * len(measures), 3.6)
    seconds = frame.groupby("seed").seconds.max().mean()
    kept_text = ", ".join(f"update {update} (seed {seed})" for seed, update in kept.items())
    figure.suptitle(f"{seconds:.0f} s of training per seed; kept: {kept_text}", fontsize=10)
    for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures):
        draw_measure(axes, frame[frame.measure == measure], kept)
    return figure


def draw_measure(axes, frame, kept):
    """Draw the lines of one measure, with a dot on each dev line at the update whose parameters were kept.

    Args:
        axes: the panel.
        frame: the rows of the measure.
        kept: the result of `kept_updates`.
    """
    for split in SPLITS:
        label = split  # on the first line of the split only
        for seed, rows in frame[frame.split == split].sort_values("update").groupby("seed"):
            axes.plot(rows["update"], rows.value, color=SPLIT_COLOURS[split], linewidth=1.5, alpha=0.8, label=label)
            label = None
            if split == "dev":
                best = rows[rows["update"] == kept.get(seed)]
                axes.plot(best["update"], best.value, "o", color="black", markersize=5, zorder=3)
    axes.plot([], [], "o", color="black", markersize=5, label="kept")
    measure = frame.measure.iloc[0]
    axes.set(xlabel="optimizer updates", ylabel=AXIS_LABELS.get(measure, measure), xlim=(0, None))
    axes.grid(alpha=0.3)
    if measure == "accuracy":
        axes.set_ylim(0, 1.02)
    axes.legend()


def kept_updates(frame):
    """Return a dict from each seed to the update whose parameters were kept: the first one with the lowest dev loss."""
    dev = frame[(frame.split == "dev") & (frame.measure == "loss")].sort_values("update")
    return {int(seed): int(rows["update"].iloc[rows.value.argmin()]) for seed, rows in dev.groupby("seed")}
