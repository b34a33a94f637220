"""Fetch a corpus whose root is an address (s3://…): copy it into the results once."""

import shutil

from storage.files import atomic_folder


def fetch_corpus(*, source, root):
    """Stage: copy a fetched corpus into the results.

    Args:
        source: folder that Snakemake's storage plugin fetched.
        root: folder to write, the root of the corpus from then on.
    """
    with atomic_folder(root) as temporary:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
