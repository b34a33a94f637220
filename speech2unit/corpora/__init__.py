"""Corpora: manifests, audio and splits; new corpora from speech synthesis or from the clips of another corpus.

`adapters` has one module for each layout of a corpus. `layouts` has the functions that the adapters share. `clips` has the
functions that are shared by the stages that build a corpus from clips.
"""
