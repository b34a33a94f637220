"""Speech to discrete units: manifests, encoder features, codebooks, units, reduced units.

    >>> from speech2unit import encode_units

The functions for Python are imported when they are first used, so that a stage loads only what it needs.
"""

import importlib

PYTHON_INTERFACE = ("EncodedUnits", "UnitEncoder", "encode_units")


def __getattr__(name):
    """Return a name of `speech2unit.unit_encoder`."""
    if name in PYTHON_INTERFACE:
        return getattr(importlib.import_module("speech2unit.unit_encoder"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
