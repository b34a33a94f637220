"""Corpora: one file each, `read_rows(...)` turns a folder into manifest rows; the file's name is the registry."""
