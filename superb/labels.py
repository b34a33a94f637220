"""Labels as the numbers that a `TaskModel` learns, and back."""

SEQUENCES = ("ASR", "PR", "SF")  # kinds whose labels are a sequence of symbols


def num_outputs(classes):
    """Return the numbers of outputs that `build_model` takes: classes of each slot, symbols, or speakers."""
    return [len(labels) for labels in classes]


def target_of(labels, classes, kind):
    """Return the target of a `TaskModel` for the labels of an utterance."""
    if kind == "SD":
        return labels
    if kind in SEQUENCES:
        return [classes[0].index(label) + 1 for label in labels]
    return [slot.index(label) for slot, label in zip(classes, labels)]


def labels_of(target, classes, kind):
    """Return the labels of a target or an answer: the inverse of `target_of`."""
    if kind == "SD":
        return target
    if kind in SEQUENCES:
        return [classes[0][symbol - 1] for symbol in target]
    return [slot[index] for slot, index in zip(classes, target)]
