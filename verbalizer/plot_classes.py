"""Figure of the number of utterances of each class in each split; for sequences, of the number of times each label occurs."""

from collections import Counter

import numpy as np

from evaluation.figures import SPLIT_COLOURS, new_figure, save
from storage import tables
from storage.schemas import SPLITS
from verbalizer.schemas import LM_DATASET


def class_counts(rows, max_classes, sequences):
    """Return a dict from each class, the most frequent training class first, to a `Counter` of its rows by split.

    Args:
        rows: rows of `LM_DATASET`.
        max_classes: maximum number of classes. Further classes are combined into one, `other`.
        sequences: True: each label of a row counts as a class. False: all labels of a row together are its class.
    """
    counts = {}
    for row in rows:
        for name in row["labels"] if sequences else [" ".join(row["labels"])]:
            counts.setdefault(name, Counter())[row["split"]] += 1
    names = sorted(counts, key=lambda name: (-counts[name]["train"], name))
    if len(names) <= max_classes:
        return {name: counts[name] for name in names}
    shown = {name: counts[name] for name in names[: max_classes - 1]}
    combined = names[max_classes - 1 :]
    return shown | {f"other ({len(combined)} classes)": sum((counts[name] for name in combined), Counter())}


def draw(counts, counted="utterances"):
    """Return a figure with one panel per split and one bar per class. Each panel has a scale of its own.

    Args:
        counts: the result of `class_counts`.
        counted: name of what is counted, for the label of the axis.
    """
    names = list(counts)
    figure = new_figure(8, 1.2 + 0.2 * len(names))
    panels = figure.subplots(1, len(SPLITS), sharey=True)
    for axes, split in zip(panels, SPLITS):
        numbers = [counts[name][split] for name in names]
        bars = axes.barh(np.arange(len(names)), numbers, color=SPLIT_COLOURS[split])
        axes.bar_label(bars, padding=2, fontsize=7)
        axes.set(title=f"{split}: {sum(numbers)}", xlabel=counted)
        axes.margins(x=0.2)
    panels[0].set(yticks=np.arange(len(names)), yticklabels=names, ylabel="class", ylim=(len(names) - 0.4, -0.6))
    return figure


def plot_classes(*, lm_dataset, figure, max_classes, sequences):
    """Stage: draw the classes of a task.

    Args:
        lm_dataset: table of `LM_DATASET`.
        figure: figure to write.
        max_classes: maximum number of bars per split.
        sequences: whether the labels of a row are a sequence.
    """
    rows = tables.read(lm_dataset, LM_DATASET, ["split", "labels"]).to_pylist()
    save(draw(class_counts(rows, max_classes, sequences), "labels" if sequences else "utterances"), figure)
