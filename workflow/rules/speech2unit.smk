from workflow.scripts.lookups.checkpoints import checkpoint_files
from workflow.scripts.lookups.registries import codebook_modules, encoder_modules
from workflow.scripts.lookups.units import (
    codebook_encoder_file,
    codebook_features,
    codebook_settings,
    codebooks_file,
    context_settings,
    corpus_features,
    divided_units,
    encoded_units_files,
    encoding_settings,
    feature_settings,
    measuring_settings,
    published_codebook_settings,
    sample_settings,
    units_manifest,
)


localrules:
    fold_units,
    reduce_units,
    measure_units,


rule extract_features:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    output:
        features=FEATURES_FILE,
    log:
        "logs/extract_features/{encoder}/layer{layer}/{corpus}/{shard}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        gpu=config["gpus_per_job"],
    params:
        **stage("speech2unit.extract_features", registry_modules=from_rows(encoder_modules)),
        **config["extract_features"],
        wildcard_settings=from_rows(feature_settings),
    script:
        "../scripts/stage.py"


rule sample_features:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    output:
        features="results/features/{encoder}/layer{layer}/{corpus}/sample.parquet",
    log:
        "logs/sample_features/{encoder}/layer{layer}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        gpu=config["gpus_per_job"],
    params:
        **stage("speech2unit.sample_features", registry_modules=from_rows(encoder_modules)),
        **config["extract_features"],
        wildcard_settings=from_rows(sample_settings),
    script:
        "../scripts/stage.py"


rule fit_codebook:
    input:
        features=from_rows(codebook_features),
    output:
        centroids="results/units/{codebook}/centroids.parquet",
        projection="results/units/{codebook}/projection.parquet",
        config="results/units/{codebook}/config.json",
    log:
        "logs/fit_codebook/{codebook}.log",
    wildcard_constraints:
        codebook=wildcard_pattern(ROWS["codebooks"], published=False),
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(3000),
    params:
        **stage("speech2unit.fit_codebook", num_threads=2),
        **config["fit_codebook"],
        wildcard_settings=from_rows(codebook_settings),
    script:
        "../scripts/stage.py"


rule convert_codebook:
    input:
        checkpoint=external_files(checkpoint_files, "codebooks"),
    output:
        centroids="results/units/{codebook}/centroids.parquet",
        projection="results/units/{codebook}/projection.parquet",
        config="results/units/{codebook}/config.json",
    log:
        "logs/convert_codebook/{codebook}.log",
    wildcard_constraints:
        codebook=wildcard_pattern(ROWS["codebooks"], published=True),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.convert_codebook"),
        wildcard_settings=from_rows(published_codebook_settings),
    script:
        "../scripts/stage.py"


rule assign_units:
    input:
        features=from_rows(corpus_features),
        centroids="results/units/{codebook}/centroids.parquet",
        projection="results/units/{codebook}/projection.parquet",
    output:
        units="results/units/{codebook}/{corpus}/units.parquet",
    log:
        "logs/assign_units/{codebook}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.assign_units"),
        codebook="{codebook}",
        wildcard_settings=from_rows(context_settings),
    script:
        "../scripts/stage.py"


rule encode_shard:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        model=from_rows(codebook_encoder_file, "model.safetensors"),
        config=from_rows(codebook_encoder_file, "config.json"),
        centroids=from_rows(codebooks_file, "centroids.parquet"),
        projection=from_rows(codebooks_file, "projection.parquet"),
    output:
        encoded_units="results/units/{codebook}/{corpus}/encoded_units/{shard}.parquet",
    log:
        "logs/encode_shard/{codebook}/{corpus}/{shard}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        gpu=config["gpus_per_job"],
    params:
        **stage("speech2unit.encode_shard", registry_modules=from_rows(codebook_modules)),
        **config["extract_features"],
        wildcard_settings=from_rows(encoding_settings),
    script:
        "../scripts/stage.py"


rule collect_units:
    input:
        encoded_units=from_rows(encoded_units_files),
        centroids="results/units/{codebook}/centroids.parquet",
    output:
        units="results/units/{codebook}/{corpus}/units.parquet",
    log:
        "logs/collect_units/{codebook}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.collect_units"),
        codebook="{codebook}",
    script:
        "../scripts/stage.py"


rule fold_units:
    input:
        whole=from_rows(divided_units),
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        units="results/units/{codebook}/{corpus}/units.parquet",
    log:
        "logs/fold_units/{codebook}/{corpus}.log",
    wildcard_constraints:
        codebook=wildcard_pattern(ROWS["codebooks"], fold=""),
        corpus=FOLD_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.fold_units"),
    script:
        "../scripts/stage.py"


if config["features"] == "none":

    ruleorder: fold_units > collect_units > assign_units

else:

    ruleorder: fold_units > assign_units > collect_units


rule reduce_units:
    input:
        units="results/units/{codebook}/{corpus}/units.parquet",
    output:
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
    log:
        "logs/reduce_units/{codebook}/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.reduce_units"),
    script:
        "../scripts/stage.py"


rule measure_units:
    input:
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
        manifest=from_rows(units_manifest),
    output:
        statistics="results/units/{codebook}/{corpus}/statistics.parquet",
    log:
        "logs/measure_units/{codebook}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.measure_units"),
        codebook="{codebook}",
        corpus="{corpus}",
        wildcard_settings=from_rows(measuring_settings),
    script:
        "../scripts/stage.py"
