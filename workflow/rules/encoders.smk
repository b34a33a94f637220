from workflow.scripts.lookups.checkpoints import checkpoint_files
from workflow.scripts.lookups.encoders import (
    encoder_manifests,
    encoder_targets,
    front_end_file,
    published_encoder_settings,
    recipe_settings,
    recipe_settings_with_targets,
)
from workflow.scripts.lookups.registries import encoder_modules


rule convert_encoder:
    input:
        checkpoint=external_files(checkpoint_files, "encoders"),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        load_report="results/encoders/{encoder}/load_report.parquet",
    log:
        "logs/convert_encoder/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="convert_encoder"),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(5000),
    params:
        **stage("speech2unit.encoders.convert_encoder", registry_modules=from_rows(encoder_modules)),
        wildcard_settings=from_rows(published_encoder_settings),
    script:
        "../scripts/stage.py"


rule fit_log_mel:
    input:
        manifests=from_rows(encoder_manifests),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    log:
        "logs/fit_log_mel/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="fit_log_mel"),
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(3000),
    params:
        **stage("speech2unit.recipes.fit_log_mel"),
        wildcard_settings=from_rows(recipe_settings),
    script:
        "../scripts/stage.py"


rule pretrain_melhubert:
    input:
        manifests=from_rows(encoder_manifests),
        targets=from_rows(encoder_targets),
        front_end=from_rows(front_end_file, "model.safetensors"),
        front_end_config=from_rows(front_end_file, "config.json"),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/pretrain_melhubert/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="pretrain_melhubert"),
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.pretrain_melhubert"),
        wildcard_settings=from_rows(recipe_settings_with_targets),
    script:
        "../scripts/stage.py"


rule export_melhubert:
    input:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    output:
        checkpoint="results/encoders/{encoder}/published/melhubert.ckpt",
        mean_std="results/encoders/{encoder}/published/mean_std.npy",
    log:
        "logs/export_melhubert/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], architecture="melhubert"),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.encoders.export_melhubert"),
    script:
        "../scripts/stage.py"
