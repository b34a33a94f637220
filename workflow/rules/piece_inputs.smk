# What a unit LM reads: the units of its codebook, or pieces of several units (acoustic BPE).

PIECE_ULMS = names("ulms", in_pieces=True)


def inventory(ulm):
    """What a unit LM reads: the name and the size of its codebook, or of the pieces that are made of its units."""
    row = ROWS["ulms"][ulm]
    num_units = int(row["num_pieces"] or ROWS["codebooks"][row["codebook"]]["num_clusters"])
    return dict(codebook=f"{row['codebook']}:{ulm}" if row["num_pieces"] else row["codebook"], num_units=num_units)


def units_read(ulm, corpora):
    """Reduced units of corpora as a unit LM reads them."""
    row = ROWS["ulms"][ulm]
    folder = f"ulm/{ulm}" if row["num_pieces"] else f"units/{row['codebook']}"
    return expand(f"results/{folder}/{{corpus}}/reduced_units.parquet", corpus=corpora)


def piece_units(wildcards):
    """The units that pieces are fitted on."""
    row = ROWS["ulms"][wildcards.ulm]
    return expand("results/units/{codebook}/{corpus}/reduced_units.parquet", codebook=row["codebook"], corpus=row["corpora"])


def units_to_encode(wildcards):
    return f"results/units/{ROWS['ulms'][wildcards.ulm]['codebook']}/{wildcards.corpus}/reduced_units.parquet"


def piece_settings(wildcards):
    row = ROWS["ulms"][wildcards.ulm]
    return dict(num_pieces=int(row["num_pieces"]), num_units=int(ROWS["codebooks"][row["codebook"]]["num_clusters"]))


def encoding_settings(wildcards):
    return dict(codebook=inventory(wildcards.ulm)["codebook"])


def ulm_units(wildcards):
    return units_read(wildcards.ulm, ROWS["ulms"][wildcards.ulm]["corpora"])


def vocabulary_settings(wildcards):
    return inventory(wildcards.ulm)
