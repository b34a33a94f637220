"""Speech to discrete units: manifests, encoder features, codebooks, units, reduced units.

From Python, without Snakemake:

    >>> from speech2unit import encode_units
    >>> encode_units("a.wav", codebook="results/units/melhubert_commands_100").units

The package imports such names when they are first used, so that a stage loads only what it needs.
"""

import importlib

PYTHON_INTERFACE = ("EncodedUnits", "UnitEncoder", "encode_units")


def __getattr__(name):
    """Import a name of `speech2unit.unit_encoder`; Python calls this for names that the package does not have yet."""
    if name in PYTHON_INTERFACE:
        return getattr(importlib.import_module("speech2unit.unit_encoder"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
