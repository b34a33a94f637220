"""The tensors of a published checkpoint under our names, checked against the architecture."""

from collections import Counter

from storage.errors import data_error


def rename_tensors(place, names, tensors, wanted, sizes):
    """Our name → tensor, and rows (source, name, shape, dtype) of a load report.

    names: a checkpoint's name → ours, empty where it is left out; tensors: by a checkpoint's names; wanted: our name → shape;
    sizes: what the shapes follow from, for the message. Raises `ValueError` that lists missing, unexpected and wrongly shaped
    tensors.
    """
    found, counts = {name: tensors[source] for source, name in names.items() if name}, Counter(names.values())
    problems = dict(
        missing=sorted(wanted.keys() - found.keys()),
        unexpected=sorted(source for source, name in names.items() if name and (name not in wanted or counts[name] > 1)),
        misshapen=sorted(n for n, shape in wanted.items() if n in found and found[n].shape != shape),
    )
    if any(problems.values()):
        raise data_error(
            f"{place} checkpoint",
            "its tensors must be those of the architecture",
            expected=f"{len(wanted)} tensors of {sizes}",
            got=f"{problems}",
            remedy="check the sizes in config/config.yaml, or take another file",
        )
    rows = [
        dict(source=source, name=name, shape=list(tensors[source].shape), dtype=str(tensors[source].dtype).removeprefix("torch."))
        for source, name in names.items()
    ]
    return found, rows
