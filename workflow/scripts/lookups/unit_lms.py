"""Look-ups of unit LMs, which read the units of a codebook or pieces of several units (acoustic BPE)."""

from workflow.scripts.lookups.checkpoints import hash_settings
from workflow.scripts.lookups.units import num_units


def inventory(rows, ulm):
    """Return the name of the codebook that a unit LM reads, and its number of units, as keyword arguments.

    Pieces count as a codebook with its own name, because they depend on the corpora of the unit LM.

    Args:
        rows: as for every look-up.
        ulm: name of the unit LM.
    """
    row = rows["ulms"][ulm]
    if row["num_pieces"]:
        return dict(codebook=f"{row['codebook']}:{ulm}", num_units=int(row["num_pieces"]))
    return dict(codebook=row["codebook"], num_units=num_units(rows, row["codebook"]))


def symbols_file(rows, ulm, corpus):
    """Return the path of the reduced units, or of the pieces, of a corpus that a unit LM reads."""
    row = rows["ulms"][ulm]
    folder = f"ulm/{ulm}" if row["num_pieces"] else f"units/{row['codebook']}"
    return f"results/{folder}/{corpus}/reduced_units.parquet"


def training_symbols(rows, config, wildcards):
    """Return the reduced units (or pieces) that a unit LM is pre-trained on."""
    return [symbols_file(rows, wildcards.ulm, corpus) for corpus in rows["ulms"][wildcards.ulm]["corpora"]]


def training_units(rows, config, wildcards):
    """Return the units that the pieces of a unit LM are fitted on."""
    row = rows["ulms"][wildcards.ulm]
    return [f"results/units/{row['codebook']}/{corpus}/reduced_units.parquet" for corpus in row["corpora"]]


def units_to_encode(rows, config, wildcards):
    """Return the reduced units of a corpus that are encoded as pieces."""
    return f"results/units/{rows['ulms'][wildcards.ulm]['codebook']}/{wildcards.corpus}/reduced_units.parquet"


def piece_settings(rows, config, wildcards):
    """Return the number of pieces, and the size of the codebook that they are made of."""
    row = rows["ulms"][wildcards.ulm]
    return dict(num_pieces=int(row["num_pieces"]), num_units=num_units(rows, row["codebook"]))


def encoding_settings(rows, config, wildcards):
    """Return the name of a unit LM's pieces, for the column `codebook`."""
    return dict(codebook=inventory(rows, wildcards.ulm)["codebook"])


def vocabulary_settings(rows, config, wildcards):
    """Return the name of the codebook (or pieces) that a unit LM reads, and its number of units."""
    return inventory(rows, wildcards.ulm)


def ulm_settings(rows, config, wildcards):
    """Return the settings in the preset of a unit LM that is pre-trained here, and its seed."""
    row = rows["ulms"][wildcards.ulm]
    return config["pretrain_ulm"][row["preset"]] | dict(seed=int(row["seed"]))


def published_ulm_settings(rows, config, wildcards):
    """Return the hashes, the number of units, and the sizes (or token ids) of a published unit LM."""
    row = rows["ulms"][wildcards.ulm]
    section = "convert_causal_lm" if row["from_transformers"] else "convert_ulm"
    return hash_settings(rows, row) | dict(num_units=num_units(rows, row["codebook"])) | config[section][row["preset"]]
