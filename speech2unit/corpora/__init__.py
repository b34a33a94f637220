"""Corpora: manifests, audio, splits, and corpora that are synthesised or built from clips of another corpus."""
