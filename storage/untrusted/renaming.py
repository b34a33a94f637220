"""Rename the tensors of a published checkpoint to our names, and check them against the architecture."""

from collections import Counter

from storage.errors import data_error, listed


def rename_tensors(architecture, names, tensors, expected_shapes, sizes):
    """Rename the tensors of a checkpoint and check that they are exactly those of the model.

    Args:
        architecture: its name, for the error message.
        names: dict from the name in the checkpoint to our name, which is empty for a tensor that is left out.
        tensors: dict from the name in the checkpoint to the tensor.
        expected_shapes: dict from our name to the shape.
        sizes: the settings that determine the shapes, for the error message.

    Returns:
        A dict from our name to the tensor, and the rows of `storage.schemas.LOAD_REPORT`.

    Raises:
        ValueError: if tensors are missing, unexpected or have another shape; the message lists them.
    """
    renamed = {name: tensors[source] for source, name in names.items() if name}
    counts = Counter(names.values())
    problems = dict(
        missing=[name for name in expected_shapes if name not in renamed],
        unexpected=[source for source, name in names.items() if name and (name not in expected_shapes or counts[name] > 1)],
        misshapen=[
            f"{name} {tuple(renamed[name].shape)}, not {tuple(shape)}"
            for name, shape in expected_shapes.items()
            if name in renamed and renamed[name].shape != shape
        ],
    )
    if any(problems.values()):
        raise data_error(
            f"{architecture} checkpoint",
            "its tensors must be those of the architecture",
            expected=f"{len(expected_shapes)} tensors for the sizes {sizes}",
            got="; ".join(f"{problem} {listed(tensor_names)}" for problem, tensor_names in problems.items() if tensor_names),
            remedy="correct its sizes in config/presets/encoders.yaml or take another file",
        )
    report = [report_row(source, name, tensors[source]) for source, name in names.items()]
    return renamed, report


def report_row(source, name, tensor):
    """Return the row of the load report about a tensor."""
    return dict(source=source, name=name, shape=list(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))
