"""Training curves: a panel for each measure, a colour for each split, a line for each seed."""

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from storage import tables
from storage.schemas import SPLITS, TRAINING

UNITS = dict(loss="loss (nats a target)", accuracy="accuracy (fraction)")


def kept_updates(frame):
    """Seed → the update whose parameters were kept: the lowest dev loss, the first of equals."""
    dev = frame[(frame.split == "dev") & (frame.measure == "loss")].sort_values("update")
    return {int(seed): int(part["update"].iloc[part.value.argmin()]) for seed, part in dev.groupby("seed")}


def draw_measure(axes, frame, kept):
    """Lines of one measure; a dot on the dev line where the parameters were kept. A measure in a split has one label."""
    for split in SPLITS:
        for number, (seed, part) in enumerate(frame[frame.split == split].sort_values("update").groupby("seed")):
            axes.plot(
                part["update"], part.value, color=SPLIT_COLOURS[split], linewidth=1.5, alpha=0.8, label=None if number else split
            )
            best = part[(part["update"] == kept.get(seed)) & (split == "dev")]
            axes.plot(best["update"], best.value, "o", color="black", markersize=5, zorder=3)
    axes.plot([], [], "o", color="black", markersize=5, label="kept")
    measure = frame.measure.iloc[0]
    axes.set(xlabel="optimiser updates", ylabel=UNITS.get(measure, measure), xlim=(0, None))
    axes.grid(alpha=0.3)
    if measure == "accuracy":
        axes.set_ylim(0, 1.02)
    axes.legend()


def draw(frame):
    """Figure of the rows of `TRAINING` as a data frame."""
    measures, kept = sorted(frame.measure.unique(), key=lambda m: (m != "loss", m)), kept_updates(frame)
    figure = new_figure(0.5 + 4.5 * len(measures), 3.6)
    seconds = frame.groupby("seed").seconds.max().mean()
    chosen = ", ".join(f"seed {seed}: update {update}" for seed, update in kept.items())
    figure.suptitle(f"{seconds:.0f} s of training a seed; kept {chosen}", fontsize=10)
    for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures):
        draw_measure(axes, frame[frame.measure == measure], kept)
    return figure


def plot_training(*, training, figure):
    """Stage: `figure` of an encoder, a unit LM or the prompts of a task."""
    save(draw(tables.read(training, TRAINING).to_pandas()), figure)
