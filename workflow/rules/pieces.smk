from workflow.scripts.lookups.unit_lms import encoding_settings, piece_settings, training_units, units_to_encode


localrules:
    encode_pieces,


rule fit_pieces:
    input:
        reduced_units=from_rows(training_units),
    output:
        model="results/ulm/{ulm}/pieces.model",
        pieces="results/ulm/{ulm}/pieces.parquet",
    log:
        "logs/fit_pieces/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], in_pieces=True),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("ulm.fit_pieces"),
        **config["fit_pieces"],
        wildcard_settings=from_rows(piece_settings),
    script:
        "../scripts/stage.py"


rule encode_pieces:
    input:
        reduced_units=from_rows(units_to_encode),
        model="results/ulm/{ulm}/pieces.model",
        pieces="results/ulm/{ulm}/pieces.parquet",
    output:
        encoded_units="results/ulm/{ulm}/{corpus}/reduced_units.parquet",
    log:
        "logs/encode_pieces/{ulm}/{corpus}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], in_pieces=True),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.encode_pieces"),
        wildcard_settings=from_rows(encoding_settings),
    script:
        "../scripts/stage.py"
