"""Look-ups of published files."""


def checkpoint_files(rows, config, wildcards, table):
    """Return the published files of an encoder, a codebook or a unit LM; an empty list if it is not published.

    Args:
        rows, config, wildcards: as for every look-up.
        table: `encoders`, `codebooks` or `ulms`. The wildcard with the name of the row is the singular, such as `encoder`.
    """
    name = rows[table][wildcards[table.removesuffix("s")]]["checkpoint"]
    folder = config["paths"]["checkpoints"]
    return [f"{folder}/{name}/{file}" for file in rows["checkpoints"][name]["files"]] if name else []


def hash_settings(rows, row):
    """Return the SHA-256 of each published file of `row`, `-` if it is unknown."""
    return dict(sha256=rows["checkpoints"][row["checkpoint"]]["sha256"] if row["checkpoint"] else [])


def download_settings(rows, config, wildcards):
    """Return the address of a published file, and its SHA-256, `-` if it is unknown."""
    row = rows["checkpoints"][wildcards.checkpoint]
    hashes = dict(zip(row["files"], row["sha256"]))
    return dict(address=row["address"], sha256=hashes.get(wildcards.file, "-"))
