from workflow.scripts.lookups.tasks import label_settings, task_manifest, task_units, verbalizer_settings


localrules:
    create_lm_dataset,
    fit_verbalizer,
    apply_verbalizer,


rule create_lm_dataset:
    input:
        reduced_units=from_rows(task_units),
        manifest=from_rows(task_manifest),
    output:
        lm_dataset="results/{task}/lm_dataset.parquet",
    log:
        "logs/create_lm_dataset/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("verbalizer.create_lm_dataset"),
        **config["create_lm_dataset"],
        wildcard_settings=from_rows(label_settings),
    script:
        "../scripts/stage.py"


rule fit_verbalizer:
    input:
        lm_dataset="results/{task}/lm_dataset.parquet",
    output:
        verbalizer="results/{task}/verbalizer.parquet",
    log:
        "logs/fit_verbalizer/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("verbalizer.fit_verbalizer"),
        **config["fit_verbalizer"],
        wildcard_settings=from_rows(verbalizer_settings),
    script:
        "../scripts/stage.py"


rule apply_verbalizer:
    input:
        lm_dataset="results/{task}/lm_dataset.parquet",
        verbalizer="results/{task}/verbalizer.parquet",
    output:
        verbalized="results/{task}/verbalized.parquet",
    log:
        "logs/apply_verbalizer/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("verbalizer.apply_verbalizer"),
    script:
        "../scripts/stage.py"
