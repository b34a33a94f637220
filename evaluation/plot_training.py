"""Figure of learning curves: one panel per split and measure, one line per seed.

Training and dev loss have panels, and thus scales, of their own. They are not the same quantity: the training loss is what the
optimizer minimizes, with dropout, augmentation, label smoothing and further terms of the recipe.
"""

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from storage import tables
from storage.schemas import SPLITS, TRAINING

LOSS_TITLES = dict(train="training loss: what is minimized", dev="dev loss: chooses the update to keep")
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
    panels = sorted(set(zip(frame.measure, frame.split)), key=_position)
    kept = kept_updates(frame)
    figure = new_figure(0.5 + 4 * len(panels), 3.6)
    kept_text = ", ".join(f"update {update} (seed {seed})" for seed, update in kept.items())
    figure.suptitle(f"{training_time(frame)}; kept: {kept_text}", fontsize=10)
    for axes, (measure, split) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        draw_panel(axes, frame[(frame.measure == measure) & (frame.split == split)], kept)
    return figure


def training_time(frame):
    """Return the seconds that all seeds together took, as text. Each seed counts its own from 0."""
    seconds = frame.groupby("seed").seconds.max()
    return f"{seconds.sum():.0f} s of training" + (f" for {len(seconds)} seeds together" if len(seconds) > 1 else "")


def _position(panel):
    """Return the sort key of a panel (measure, split): the losses first, train before dev."""
    measure, split = panel
    return measure != "loss", measure, SPLITS.index(split)


def draw_panel(axes, frame, kept):
    """Draw one line per seed; on dev with a dot at the update whose parameters were kept.

    Args:
        axes: the panel.
        frame: the rows of one measure and one split.
        kept: the result of `kept_updates`.
    """
    measure, split = frame.measure.iloc[0], frame.split.iloc[0]
    label = "one line per seed" if frame.seed.nunique() > 1 else None  # on the first line only
    for seed, rows in frame.sort_values("update").groupby("seed"):
        axes.plot(rows["update"], rows.value, color=SPLIT_COLOURS[split], linewidth=1.5, alpha=0.8, label=label)
        label = None
        if split == "dev":
            best = rows[rows["update"] == kept.get(seed)]
            axes.plot(best["update"], best.value, "o", color="black", markersize=5, zorder=3)
    if split == "dev":
        axes.plot([], [], "o", color="black", markersize=5, label="kept")
    axes.set(xlabel="optimizer updates", ylabel=AXIS_LABELS.get(measure, measure), xlim=(0, None))
    axes.set_title(LOSS_TITLES[split] if measure == "loss" else f"{split} {measure}")
    axes.grid(alpha=0.3)
    if measure == "accuracy":
        axes.set_ylim(0, 1.02)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()


def kept_updates(frame):
    """Return a dict from each seed to the update whose parameters were kept: the first one with the lowest dev loss."""
    dev = frame[(frame.split == "dev") & (frame.measure == "loss")].sort_values("update")
    return {int(seed): int(rows["update"].iloc[rows.value.argmin()]) for seed, rows in dev.groupby("seed")}
