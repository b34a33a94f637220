"""A trained task applied to new recordings: bundles, `Recognizer`, the command line and a page for the browser.

    >>> from inference import Recognizer
    >>> recognizer = Recognizer.load("results/SCR/bundle")
    >>> recognizer("a.wav").label
    'yes'

Loading a bundle needs torch, torchaudio, numpy, safetensors, soundfile and soxr, and no other library of the project;
bundles whose unit LM is one of the library transformers need that too. The name `Recognizer` is imported when it is first used, so
that the stages of this package load only what they need.
"""

import importlib

PYTHON_INTERFACE = dict(Recognizer="inference.recognizer", Recognition="inference.recognition", Answer="inference.recognition")


def __getattr__(name):
    """Import a name of `PYTHON_INTERFACE`; Python calls this for names that the package does not have yet."""
    if name in PYTHON_INTERFACE:
        return getattr(importlib.import_module(PYTHON_INTERFACE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
