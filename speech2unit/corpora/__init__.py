"""Corpora: manifests, audio and splits; new corpora from speech synthesis or from the clips of another corpus.

`adapters` has one module for each layout of a corpus, `layouts` the functions that they share, and `clips` the functions that the
stages share which build a corpus from clips.
"""
