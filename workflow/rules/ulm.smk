from workflow.scripts.lookups.checkpoints import checkpoint_files
from workflow.scripts.lookups.tasks import (
    fold_files,
    metric_settings,
    prompt_owner_file,
    sampling_settings,
    scope_setting,
    score_settings,
    symbol_settings,
    task_ulm_file,
    tuning_settings,
)
from workflow.scripts.lookups.comparisons import comparison_files
from workflow.scripts.lookups.unit_lms import published_ulm_settings, training_symbols, ulm_settings, vocabulary_settings


localrules:
    build_vocabulary,
    compare_tasks,
    export_adapters,
    score,
    score_folds,
    summarize,


rule build_vocabulary:
    input:
        reduced_units=from_rows(training_symbols),
    output:
        vocabulary="results/ulm/{ulm}/vocabulary.parquet",
    log:
        "logs/build_vocabulary/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], published=False),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.build_vocabulary"),
        wildcard_settings=from_rows(vocabulary_settings),
    script:
        "../scripts/stage.py"


rule pretrain_ulm:
    input:
        reduced_units=from_rows(training_symbols),
        vocabulary="results/ulm/{ulm}/vocabulary.parquet",
    output:
        model="results/ulm/{ulm}/model.safetensors",
        config="results/ulm/{ulm}/config.json",
        task_prompts="results/ulm/{ulm}/task_prompts.safetensors",
        training="results/ulm/{ulm}/training.parquet",
    log:
        "logs/pretrain_ulm/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], published=False),
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("ulm.pretrain_ulm"),
        wildcard_settings=from_rows(ulm_settings),
    script:
        "../scripts/stage.py"


rule convert_ulm:
    input:
        checkpoint=external_files(checkpoint_files, "ulms"),
    output:
        model="results/ulm/{ulm}/model.safetensors",
        config="results/ulm/{ulm}/config.json",
        vocabulary="results/ulm/{ulm}/vocabulary.parquet",
        task_prompts="results/ulm/{ulm}/task_prompts.safetensors",
        load_report="results/ulm/{ulm}/load_report.parquet",
    log:
        "logs/convert_ulm/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], published=True, from_transformers=False),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(5000),
    params:
        **stage("ulm.convert_ulm"),
        wildcard_settings=from_rows(published_ulm_settings),
    script:
        "../scripts/stage.py"


use rule convert_ulm as convert_causal_lm with:
    log:
        "logs/convert_causal_lm/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], from_transformers=True),
    params:
        **stage("ulm.convert_causal_lm"),
        wildcard_settings=from_rows(published_ulm_settings),


rule export_ulm:
    input:
        model="results/ulm/{ulm}/model.safetensors",
        config="results/ulm/{ulm}/config.json",
        vocabulary="results/ulm/{ulm}/vocabulary.parquet",
    output:
        exported_model="results/ulm/{ulm}/transformers/model.safetensors",
        exported_config="results/ulm/{ulm}/transformers/config.json",
    log:
        "logs/export_ulm/{ulm}.log",
    wildcard_constraints:
        ulm=wildcard_pattern(ROWS["ulms"], from_transformers=False),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        **stage("ulm.export_ulm"),
    script:
        "../scripts/stage.py"


rule cluster_verbalizer:
    input:
        lm_dataset="results/{task}/lm_dataset.parquet",
        model=from_rows(task_ulm_file, "model.safetensors"),
        config=from_rows(task_ulm_file, "config.json"),
        vocabulary=from_rows(task_ulm_file, "vocabulary.parquet"),
    output:
        verbalizer="results/{task}/verbalizer.parquet",
    log:
        "logs/cluster_verbalizer/{task}.log",
    wildcard_constraints:
        task=wildcard_pattern(ROWS["tasks"], verbalizer="kmeans", fold_tasks=[]),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.cluster_verbalizer"),
        **config["fit_verbalizer"],
    script:
        "../scripts/stage.py"


ruleorder: cluster_verbalizer > fit_verbalizer


rule binarize:
    input:
        verbalized="results/{task}/verbalized.parquet",
        vocabulary=from_rows(task_ulm_file, "vocabulary.parquet"),
    output:
        binarized=directory("results/{task}/binarized"),
        rows="results/{task}/binarized.parquet",
    log:
        "logs/binarize/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("ulm.binarize"),
        wildcard_settings=from_rows(symbol_settings),
    script:
        "../scripts/stage.py"


rule tune_prompt:
    input:
        rows="results/{task}/binarized.parquet",
        model=from_rows(task_ulm_file, "model.safetensors"),
        config=from_rows(task_ulm_file, "config.json"),
        task_prompts=from_rows(task_ulm_file, "task_prompts.safetensors"),
    output:
        tuned_weights="results/{task}/prompt.safetensors",
        training="results/{task}/training.parquet",
    log:
        "logs/tune_prompt/{task}.log",
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=240,
    params:
        **stage("ulm.tune_prompt"),
        wildcard_settings=from_rows(tuning_settings),
    script:
        "../scripts/stage.py"


rule export_adapters:
    input:
        config=from_rows(task_ulm_file, "config.json"),
        tuned_weights=from_rows(prompt_owner_file, "prompt.safetensors"),
    output:
        adapters=directory("results/{task}/adapters"),
    log:
        "logs/export_adapters/{task}.log",
    wildcard_constraints:
        task=TRANSFORMERS_TASKS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("ulm.export_adapters"),
        wildcard_settings=from_rows(scope_setting),
    script:
        "../scripts/stage.py"


rule sample:
    input:
        rows="results/{task}/binarized.parquet",
        verbalizer="results/{task}/verbalizer.parquet",
        vocabulary=from_rows(task_ulm_file, "vocabulary.parquet"),
        model=from_rows(task_ulm_file, "model.safetensors"),
        config=from_rows(task_ulm_file, "config.json"),
        tuned_weights=from_rows(prompt_owner_file, "prompt.safetensors"),
    output:
        samples="results/{task}/samples.parquet",
    log:
        "logs/sample/{task}.log",
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(3000),
        gpu=config["gpus_per_job"],
    params:
        **stage("ulm.sample", num_threads=2),
        wildcard_settings=from_rows(sampling_settings),
    script:
        "../scripts/stage.py"


rule fit_baselines:
    input:
        lm_dataset="results/{task}/lm_dataset.parquet",
    output:
        baselines="results/{task}/baselines.parquet",
    log:
        "logs/fit_baselines/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("ulm.fit_baselines"),
        **config["fit_baselines"],
        wildcard_settings=from_rows(metric_settings),
    script:
        "../scripts/stage.py"


rule score:
    input:
        samples="results/{task}/samples.parquet",
        baselines="results/{task}/baselines.parquet",
        training=from_rows(prompt_owner_file, "training.parquet"),
        tuned_weights=from_rows(prompt_owner_file, "prompt.safetensors"),
        config=from_rows(task_ulm_file, "config.json"),
    output:
        acc="results/{task}/acc.json",
        confusion="results/{task}/confusion.parquet",
    log:
        "logs/score/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.score"),
        **config["score"],
        wildcard_settings=from_rows(score_settings),
    script:
        "../scripts/stage.py"


rule score_folds:
    input:
        fold_acc=from_rows(fold_files, "acc.json"),
        fold_samples=from_rows(fold_files, "samples.parquet"),
        fold_baselines=from_rows(fold_files, "baselines.parquet"),
    output:
        acc="results/{task}/acc.json",
        samples="results/{task}/samples.parquet",
        baselines="results/{task}/baselines.parquet",
        confusion="results/{task}/confusion.parquet",
    log:
        "logs/score_folds/{task}.log",
    wildcard_constraints:
        task=FOLDED_TASKS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.score_folds"),
        task="{task}",
    script:
        "../scripts/stage.py"


rule summarize:
    input:
        acc=from_rows(comparison_files, "acc.json"),
    output:
        summary="results/comparisons/{comparison}/summary.parquet",
    log:
        "logs/summarize/{comparison}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.summarize"),
    script:
        "../scripts/stage.py"


rule compare_tasks:
    input:
        acc=from_rows(comparison_files, "acc.json"),
        samples=from_rows(comparison_files, "samples.parquet"),
        baselines=from_rows(comparison_files, "baselines.parquet"),
    output:
        differences="results/comparisons/{comparison}/differences.parquet",
    log:
        "logs/compare_tasks/{comparison}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.compare_tasks"),
        **config["score"],
    script:
        "../scripts/stage.py"
