"""Look-ups of published files."""


def checkpoint_files(rows, config, wildcards, table):
    """Return the published files of an encoder, a codebook or a unit LM; none if nothing is published.

    Args:
        table: `encoders`, `codebooks` or `ulms`; the wildcard is its singular.
    """
    name = rows[table][wildcards[table.removesuffix("s")]]["checkpoint"]
    folder = config["paths"]["checkpoints"]
    return [f"{folder}/{name}/{file}" for file in rows["checkpoints"][name]["files"]] if name else []


def hash_settings(rows, row):
    """Return the SHA-256 of each published file of a row, `-` for an unknown one."""
    return dict(sha256=rows["checkpoints"][row["checkpoint"]]["sha256"] if row["checkpoint"] else [])


def download_settings(rows, config, wildcards):
    """Return the address and the SHA-256 of a file."""
    row = rows["checkpoints"][wildcards.checkpoint]
    hashes = dict(zip(row["files"], row["sha256"]))
    return dict(address=row["address"], sha256=hashes.get(wildcards.file, "-"))
