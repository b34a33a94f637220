"""How many utterances each class of a task has, in each split; of sequences, how often each symbol is said."""

from collections import Counter

import numpy as np

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from storage import tables
from storage.schemas import SPLITS
from verbalizer.schemas import LM_DATASET


def class_counts(rows, max_classes, sequences):
    """Class → split → utterances, most frequent training class first; those after `max_classes` − 1 are one class, other.

    A class is all labels of a row; where they are `sequences`, each symbol, as often as it is said.
    """
    counts = {}
    for row in rows:
        for name in row["labels"] if sequences else [" ".join(row["labels"])]:
            counts.setdefault(name, Counter())[row["split"]] += 1
    names = sorted(counts, key=lambda name: (-counts[name]["train"], name))
    if len(names) <= max_classes:
        return {name: counts[name] for name in names}
    rest = names[max_classes - 1 :]
    shown = {name: counts[name] for name in names[: max_classes - 1]}
    return shown | {f"other ({len(rest)} classes)": sum((counts[name] for name in rest), Counter())}


def draw(counts, what="utterances"):
    """Figure: a panel for each split, a bar for each class; the splits have their own scales; `what` is counted."""
    names, figure = list(counts), new_figure(8, 1.2 + 0.2 * len(counts))
    panels = figure.subplots(1, len(SPLITS), sharey=True)
    for axes, split in zip(panels, SPLITS):
        numbers = [counts[name][split] for name in names]
        bars = axes.barh(np.arange(len(names)), numbers, color=SPLIT_COLOURS[split])
        axes.bar_label(bars, padding=2, fontsize=7)
        axes.set(title=f"{split}: {sum(numbers)}", xlabel=what)
        axes.margins(x=0.2)
    panels[0].set(yticks=np.arange(len(names)), yticklabels=names, ylabel="class", ylim=(len(names) - 0.4, -0.6))
    return figure


def plot_classes(*, lm_dataset, figure, max_classes, sequences):
    """Stage: `figure` of a task, whose labels may be `sequences`; at most `max_classes` bars a split."""
    rows = tables.read(lm_dataset, LM_DATASET, ["split", "labels"]).to_pylist()
    save(draw(class_counts(rows, max_classes, sequences), "symbols" if sequences else "utterances"), figure)
