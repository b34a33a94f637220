"""Plot how often each unit of a codebook occurs; units that never occur are marked."""

import numpy as np

from evaluation.figures import ACCENT, GREY, SPLIT_COLOURS, new_figure, save
from speech2unit.schemas import REDUCED_UNITS
from speech2unit.unit_quality import perplexity
from storage import tables


def usage(reduced_units, num_clusters):
    """Return how often each unit occurs in the training split, `[num_clusters]`. A run counts once: `5 5 9` is one 5 and one 9.

    Args:
        reduced_units: path of a table of `REDUCED_UNITS`.
        num_clusters: size of the codebook.
    """
    counts = np.zeros(num_clusters, np.int64)
    for split, units in zip(reduced_units["split"].to_pylist(), reduced_units["units"]):
        if split == "train":
            counts += np.bincount(units.values.to_numpy(), minlength=num_clusters)
    return counts


def draw(counts):
    """Return a figure with two panels: the counts `[K]` by unit, with marks at units that never occur, and the sorted counts."""
    dead = np.flatnonzero(counts == 0)
    figure = new_figure(9, 5)
    summary = f"{len(counts)} units, {len(dead)} dead, perplexity {perplexity(counts):.1f} ({counts.sum()} occurrences)"
    figure.suptitle(summary, fontsize=10)
    by_unit, by_rank = figure.subplots(2, sharey=True)
    by_unit.bar(np.arange(len(counts)), counts, width=1, color=SPLIT_COLOURS["train"])
    marks = by_unit.plot(dead, np.zeros(len(dead)), "^", color=ACCENT, clip_on=False, label=f"dead: {len(dead)}", zorder=3)
    marks[0].set_in_layout(False)  # without dead units it has no size, and the layout fails
    by_unit.set(title="by unit", xlabel="unit", xlim=(-0.5, len(counts) - 0.5), ylabel="occurrences")
    by_rank.step(np.arange(1, len(counts) + 1), np.sort(counts)[::-1], where="mid", color=SPLIT_COLOURS["train"])
    by_rank.axhline(counts.mean(), color=GREY, linestyle="--", label="if all units were equally frequent")
    by_rank.set(title="sorted", xlabel="rank, the most frequent unit first", xlim=(0.5, len(counts) + 0.5), ylabel="occurrences")
    for axes in (by_unit, by_rank):
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1))
    by_unit.set_ylim(bottom=0)
    return figure


def plot_unit_usage(*, reduced_units, figure, num_clusters):
    """Stage: draw how often each unit of a codebook occurs in a corpus.

    Args:
        reduced_units: table of `REDUCED_UNITS`.
        figure: figure to write.
        num_clusters: size of the codebook.
    """
    counts = usage(tables.read(reduced_units, REDUCED_UNITS, ["split", "units"]), num_clusters)
    save(draw(counts), figure)
