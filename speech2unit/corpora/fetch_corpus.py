"""Fetch a corpus whose root is an address (s3://…): copy it into the results once."""

import shutil

from storage.files import atomic_folder


def fetch_corpus(*, source, root):
    """Stage: copy `source`, the folder that Snakemake's storage plugin has fetched, to the folder `root`."""
    with atomic_folder(root) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
