"""Registry of encoder architectures: each module has `load`, and `encoders.tsv` names it as `architecture`."""
