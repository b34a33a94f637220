"""Look-ups of bundles: the parts of a trained task, and where they come from."""

from workflow.scripts.lookups.superb import training_settings
from workflow.scripts.lookups.tasks import sampling_settings

CODEBOOK_FILES = ("centroids.parquet", "projection.parquet", "config.json")
ENCODER_FILES = ("model.safetensors", "config.json")
PIECE_FILES = ("pieces.model", "pieces.parquet")


def bundle_codebook(rows, config, wildcards):
    """Return the files of the codebook of a task; none if its units are published without one."""
    codebook, encoder = _codebook_and_encoder(rows, wildcards.task)
    return [f"results/units/{codebook}/{file}" for file in CODEBOOK_FILES] if encoder else []


def bundle_encoder(rows, config, wildcards):
    """Return the files of the encoder of a task; none if its units are published without one."""
    _, encoder = _codebook_and_encoder(rows, wildcards.task)
    return [f"results/encoders/{encoder}/{file}" for file in ENCODER_FILES] if encoder else []


def bundle_pieces(rows, config, wildcards):
    """Return the files of the pieces that the unit LM of a task reads; none if it reads units."""
    ulm = rows["tasks"][wildcards.task]["ulm"]
    return [f"results/ulm/{ulm}/{file}" for file in PIECE_FILES] if rows["ulms"][ulm]["num_pieces"] else []


def bundle_settings(rows, config, wildcards):
    """Return the settings of a task's bundle."""
    row = rows["tasks"][wildcards.task]
    codebook, encoder = _codebook_and_encoder(rows, wildcards.task)
    sampling = sampling_settings(rows, config, wildcards)
    names = [("encoder", "encoders", encoder), ("codebook", "codebooks", codebook), ("unit LM", "ulms", row["ulm"])]
    parts = [part_row(rows, part, table, name) for part, table, name in names if name]
    parts.append(trained_row("prompt", wildcards.task, row["corpus"]))
    return dict(
        codebook_name=codebook,
        num_units=int(rows["codebooks"][codebook]["num_clusters"]),
        parts=parts,
        metric=sampling.pop("metric"),
        scope=sampling.pop("scope"),
        decoding=sampling,
    )


def superb_bundle_settings(rows, config, wildcards):
    """Return the settings of a SUPERB task's bundle."""
    row = rows["superb_tasks"][wildcards.superb_task]
    settings = training_settings(row, config, rate_factor=1.0)
    parts = [part_row(rows, "encoder", "encoders", row["encoder"]), trained_row("head", wildcards.superb_task, row["corpus"])]
    return {name: settings[name] for name in ("kind", "tuning", "head")} | dict(parts=parts)


def part_row(rows, part, table, name):
    """Return where a part of a bundle comes from, and its licence."""
    row = rows[table][name]
    if row["checkpoint"]:
        checkpoint = rows["checkpoints"][row["checkpoint"]]
        return dict(
            part=part,
            name=name,
            origin=f"published: {', '.join(checkpoint['source'])}",
            licence=checkpoint["licence"] or "unknown",
        )
    made = f"{row['recipe']} of {row['parent']} on" if row.get("parent") else "trained on"
    corpora = ", ".join(row["corpora"])
    return (
        trained_row(part, name, corpora, made) if corpora else dict(part=part, name=name, origin="published", licence="unknown")
    )


def trained_row(part, name, corpora, made="trained on"):
    """Return the row of a part that was trained here."""
    return dict(part=part, name=name, origin=f"{made} {corpora}", licence="that of its training data")


def _codebook_and_encoder(rows, task):
    """Return the names of the codebook and the encoder of a task; the encoder may be empty."""
    codebook = rows["ulms"][rows["tasks"][task]["ulm"]]["codebook"]
    return codebook, rows["codebooks"][codebook]["encoder"]
