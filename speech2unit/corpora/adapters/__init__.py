"""Registry of corpus layouts: each module has `read_rows`, and `corpora.tsv` names it as `adapter`."""
