"""Labels as the numbers that a `TaskModel` learns, and back."""

SEQUENCES = ("ASR", "PR", "SF")  # kinds whose labels are a sequence of symbols


def num_outputs(classes):
    """Return the list of numbers of outputs that `build_model` takes, from the result of `read_classes`."""
    return [len(labels) for labels in classes]


def target_of(labels, classes, kind):
    """Return the target of a `TaskModel` for the labels of an utterance.

    Args:
        labels: labels of a row of `DATASET`.
        classes: the result of `read_classes`.
        kind: kind of the task, such as `KS`.

    Returns:
        For classes, a list with the number of the class in each slot; for sequences, the numbers of the symbols, from 1; for
        diarization, the labels themselves.
    """
    if kind == "SD":
        return labels
    if kind in SEQUENCES:
        return [classes[0].index(label) + 1 for label in labels]
    return [slot.index(label) for slot, label in zip(classes, labels)]


def labels_of(target, classes, kind):
    """Return the labels of a target or an answer of a `TaskModel`; this is the inverse of `target_of`."""
    if kind == "SD":
        return target
    if kind in SEQUENCES:
        return [classes[0][symbol - 1] for symbol in target]
    return [slot[index] for slot, index in zip(classes, target)]
