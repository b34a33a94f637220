"""Registry of corpus layouts: one module per layout, named in the column `adapter` of config/corpora.tsv.

Every module has the function `read_rows`. Its arguments are cells of a row of config/corpora.tsv, by the names of their columns:

    root: root folder of the corpus.
    label_columns: comma-separated names of the label columns to keep. `name[]` is a column that holds sequences.

It returns the utterances of the corpus as rows. A row is a dict with utterance_id, path (of the audio file, relative to the
root), split, speaker (None if unknown) and labels (a list), and for a part of a file start_seconds and end_seconds. The
docstrings give an example: `A_Add51.wav` → [add] means that this file gets the label `add`.

It raises `ValueError` if a file or a folder of the expected layout is missing, if a name or a cell is none of the published ones,
or if the corpus has no such label column. The message names the file and the page where the corpus is published.
"""
