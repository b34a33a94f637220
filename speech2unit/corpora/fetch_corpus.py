"""A corpus whose root is an address (s3://…), copied beside the results once."""

import shutil

from storage.files import atomic_folder


def fetch_corpus(*, source, root):
    """Stage: `source`, the folder as Snakemake's storage plugin has fetched it, becomes the folder `root`."""
    with atomic_folder(root) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
