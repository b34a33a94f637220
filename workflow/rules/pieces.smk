localrules:
    encode_pieces,


rule fit_pieces:
    input:
        reduced_units=piece_units,
    output:
        model="results/ulm/{ulm}/pieces.model",
        pieces="results/ulm/{ulm}/pieces.parquet",
    log:
        "logs/fit_pieces/{ulm}.log",
    wildcard_constraints:
        ulm=PIECE_ULMS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("ulm.fit_pieces"),
        **config["fit_pieces"],
        row=piece_settings,
    script:
        "../scripts/stage.py"


rule encode_pieces:
    input:
        reduced_units=units_to_encode,
        model="results/ulm/{ulm}/pieces.model",
        pieces="results/ulm/{ulm}/pieces.parquet",
    output:
        encoded_units="results/ulm/{ulm}/{corpus}/reduced_units.parquet",
    log:
        "logs/encode_pieces/{ulm}/{corpus}.log",
    wildcard_constraints:
        ulm=PIECE_ULMS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.encode_pieces"),
        row=encoding_settings,
    script:
        "../scripts/stage.py"
