from workflow.scripts.lookups.corpora import shard_settings
from workflow.scripts.lookups.registries import encoder_modules, superb_modules
from workflow.scripts.lookups.superb import (
    superb_dataset_settings,
    superb_encoder_file,
    superb_hidden_states,
    superb_lexicon,
    superb_manifest,
    superb_prediction_settings,
    superb_score_settings,
    superb_tuning_settings,
    superb_warm_start,
    sweep_scores,
)

RUN = "results/superb/{superb_task}{run}"  # `run` is empty, or /x0.3 for a learning rate of a sweep


localrules:
    score_superb,
    sweep_learning_rates,
    summarize_superb,


wildcard_constraints:
    run=r"(/x[0-9.]+)?",


rule create_superb_dataset:
    input:
        manifest=from_rows(superb_manifest),
        source=from_rows(superb_lexicon),
    output:
        dataset="results/superb/{superb_task}/dataset.parquet",
        classes="results/superb/{superb_task}/classes.parquet",
    log:
        "logs/create_superb_dataset/{superb_task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("superb.create_superb_dataset"),
        **config["create_superb_dataset"],
        wildcard_settings=from_rows(superb_dataset_settings),
    script:
        "../scripts/stage.py"


rule extract_hidden_states:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    output:
        hidden_states="results/hidden_states/{encoder}/{corpus}/{shard}.parquet",
    log:
        "logs/extract_hidden_states/{encoder}/{corpus}/{shard}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
        gpu=config["gpus_per_job"],
    params:
        **stage("superb.extract_hidden_states", registry_modules=from_rows(encoder_modules)),
        wildcard_settings=from_rows(shard_settings),
    script:
        "../scripts/stage.py"


rule tune_encoder:
    input:
        dataset="results/superb/{superb_task}/dataset.parquet",
        classes="results/superb/{superb_task}/classes.parquet",
        hidden_states=from_rows(superb_hidden_states),
        warm_start=from_rows(superb_warm_start),
        model=from_rows(superb_encoder_file, "model.safetensors"),
        config=from_rows(superb_encoder_file, "config.json"),
    output:
        tuned=f"{RUN}/tuned.safetensors",
        training=f"{RUN}/training.parquet",
        sizes=f"{RUN}/sizes.json",
    log:
        "logs/tune_encoder/{superb_task}{run}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("superb.tune_encoder", registry_modules=from_rows(superb_modules)),
        wildcard_settings=from_rows(superb_tuning_settings),
    script:
        "../scripts/stage.py"


rule predict:
    input:
        dataset="results/superb/{superb_task}/dataset.parquet",
        classes="results/superb/{superb_task}/classes.parquet",
        hidden_states=from_rows(superb_hidden_states),
        model=from_rows(superb_encoder_file, "model.safetensors"),
        config=from_rows(superb_encoder_file, "config.json"),
        tuned=f"{RUN}/tuned.safetensors",
    output:
        predictions=f"{RUN}/predictions.parquet",
    log:
        "logs/predict/{superb_task}{run}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
    params:
        **stage("superb.predict", registry_modules=from_rows(superb_modules)),
        **config["predict"],
        wildcard_settings=from_rows(superb_prediction_settings),
    script:
        "../scripts/stage.py"


rule score_superb:
    input:
        predictions=f"{RUN}/predictions.parquet",
        dataset="results/superb/{superb_task}/dataset.parquet",
        training=f"{RUN}/training.parquet",
        sizes=f"{RUN}/sizes.json",
    output:
        score=f"{RUN}/score.json",
    log:
        "logs/score_superb/{superb_task}{run}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("superb.score_superb"),
        **config["score_superb"],
        wildcard_settings=from_rows(superb_score_settings),
    script:
        "../scripts/stage.py"


rule sweep_learning_rates:
    input:
        scores=from_rows(sweep_scores),
    output:
        sweep="results/superb/{superb_task}/sweep.parquet",
    log:
        "logs/sweep_learning_rates/{superb_task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("superb.sweep_learning_rates"),
        **config["sweep_learning_rates"],
    script:
        "../scripts/stage.py"


rule summarize_superb:
    input:
        scores=expand("results/superb/{task}/score.json", task=SUPERB_TASKS),
    output:
        summary=f"results/comparisons/{superb_set}/superb_summary.parquet",
    log:
        "logs/summarize_superb/summary.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("superb.summarize_superb"),
    script:
        "../scripts/stage.py"


rule plot_superb:
    input:
        summary=f"results/comparisons/{superb_set}/superb_summary.parquet",
    output:
        figure=report(
            f"results/comparisons/{superb_set}/plots/methods.svg",
            caption="../report/methods.rst",
            category="Results",
            labels={"figure": "SUPERB tasks, ways of tuning"},
        ),
    log:
        "logs/plot_superb/methods.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("superb.plot_superb"),
    script:
        "../scripts/stage.py"


rule plot_sweep:
    input:
        sweep="results/superb/{superb_task}/sweep.parquet",
    output:
        figure=report(
            "results/superb/{superb_task}/plots/sweep.svg",
            caption="../report/sweep.rst",
            category="SUPERB",
            subcategory="{superb_task}",
            labels={"figure": "Learning rates"},
        ),
    log:
        "logs/plot_sweep/{superb_task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("superb.plot_sweep"),
    script:
        "../scripts/stage.py"
