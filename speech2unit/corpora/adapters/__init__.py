"""Registry of corpus layouts: one module per layout, named in the column `adapter` of config/corpora.tsv.

Every module has the function `read_rows`, whose parameters are cells of config/corpora.tsv. It returns the utterances of a
corpus as rows: dicts with utterance_id, path (relative to the corpus root), split, speaker and labels.
"""
