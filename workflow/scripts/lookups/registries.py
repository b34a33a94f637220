"""Look-ups of the code that is chosen by name: which modules of a registry a job uses. See `stage`, argument `registry_modules`."""

from workflow.scripts.comparisons import compared_encoders


def adapter_module(rows, config, wildcards):
    """Return the adapter of a corpus."""
    return [f"speech2unit.corpora.adapters.{rows['corpora'][wildcards.corpus]['adapter']}"]


def encoder_modules(rows, config, wildcards):
    """Return the architectures of an encoder and of its parent."""
    return _architectures(rows, [wildcards.encoder])


def codebook_modules(rows, config, wildcards):
    """Return the architectures of the encoder of a codebook, and of its parent."""
    encoder = rows["codebooks"][wildcards.codebook]["encoder"]
    return _architectures(rows, [encoder] if encoder else [])


def task_modules(rows, config, wildcards):
    """Return the architectures of the encoder of a task, and of its parent."""
    codebook = rows["ulms"][rows["tasks"][wildcards.task]["ulm"]]["codebook"]
    encoder = rows["codebooks"][codebook]["encoder"]
    return _architectures(rows, [encoder] if encoder else [])


def superb_modules(rows, config, wildcards):
    """Return the architectures of the encoder of a SUPERB task, and of its parent."""
    return _architectures(rows, [rows["superb_tasks"][wildcards.superb_task]["encoder"]])


def trained_modules(rows, config, wildcards):
    """Return the architectures of the encoder of a task of either table, and of its parent."""
    name = wildcards.trained_task.removeprefix("superb/")
    if name != wildcards.trained_task:
        return _architectures(rows, [rows["superb_tasks"][name]["encoder"]])
    encoder = rows["codebooks"][rows["ulms"][rows["tasks"][name]["ulm"]]["codebook"]]["encoder"]
    return _architectures(rows, [encoder] if encoder else [])


def measured_modules(rows, config, wildcards):
    """Return the architectures of all encoders that are measured, and of their parents."""
    return _architectures(rows, compared_encoders(rows, config))


def _architectures(rows, names):
    """Return the modules of the architectures of encoders and of their parents."""
    encoders = rows["encoders"]
    parents = [encoders[name]["parent"] for name in names if encoders[name]["parent"]]
    return sorted({f"speech2unit.encoders.architectures.{encoders[name]['architecture']}" for name in (*names, *parents)})
