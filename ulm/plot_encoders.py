"""What encoders are worth: how well each one does over its parameters, multiply-adds and time."""

from speech2unit import tables
from speech2unit.figures import ACCENT, GREY, SPLIT_COLOURS, new_figure, save
from ulm.schemas import ENCODERS_SUMMARY

COSTS = dict(  # column → label, factor
    parameters=("parameters that are not 0 (millions)", 1e-6),
    multiply_adds=("multiply-adds a second of speech (millions)", 1e-6),
    real_time_factor=("ms to encode a second of speech", 1e3),
)
MEASURES = dict(  # column → label, colour, marker
    accuracy=("task", ACCENT, "o"), probe_accuracy=("linear probe", SPLIT_COLOURS["train"], "s"),
    agreement=("agreement with the parent's units", SPLIT_COLOURS["test"], "^"),
)  # fmt: skip


def points(frame, cost):
    """Values `[N]` of a cost on the axis; zeros of a sparse encoder take no parameter."""
    values = frame[cost] * (frame.density if cost == "parameters" else 1)
    return values * COSTS[cost][1]


def draw(frame):
    """Figure of the rows of `ENCODERS_SUMMARY` as a data frame: a panel a cost, a marker a measure, a line to the parent."""
    figure = new_figure(4.2 * len(COSTS), 5.5)
    figure.suptitle(f"{len(frame)} encoders, {', '.join(sorted(set(frame.corpus)))}", fontsize=10)
    place, heights = {name: i for i, name in enumerate(frame.encoder)}, frame.accuracy.fillna(frame.probe_accuracy)
    panels = figure.subplots(1, len(COSTS), sharey=True, squeeze=False)[0]
    for axes, (cost, (label, _)) in zip(panels, COSTS.items()):
        x = points(frame, cost)
        for column, (name, colour, marker) in MEASURES.items():
            axes.plot(x, frame[column].astype(float), marker, color=colour, label=name, alpha=0.9)
        for name, parent, right, height in zip(frame.encoder, frame.parent, x, heights):
            if parent in place:
                axes.plot(
                    [x.iloc[place[parent]], right], [heights.iloc[place[parent]], height], color=GREY, linewidth=0.8, zorder=1
                )
            axes.annotate(name, (right, height), textcoords="offset points", xytext=(3, 4), fontsize=7, rotation=20)
        axes.set(xlabel=label, xlim=(0, 1.25 * max(x.max(), 1e-9)), ylim=(0, 1.08))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("fraction")
    panels[0].legend(loc="lower right")
    return figure


def plot_encoders(*, summary, figure):
    """Stage: `figure` of the encoders of a summary."""
    save(draw(tables.read(summary, ENCODERS_SUMMARY).to_pandas()), figure)
