# Encoders that are made from a parent. These rules differ in the stage that they run and in its inputs.


from workflow.scripts.lookups.encoders import (
    encoder_manifests,
    encoder_targets,
    parent_file,
    recipe_settings,
    recipe_settings_with_targets,
)
from workflow.scripts.lookups.registries import encoder_modules


rule prune_heads:
    input:
        parent_model=from_rows(parent_file, "model.safetensors"),
        parent_config=from_rows(parent_file, "config.json"),
        manifests=from_rows(encoder_manifests),
        targets=from_rows(encoder_targets),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/prune_heads/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="prune_heads"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.prune_heads", registry_modules=from_rows(encoder_modules)),
        wildcard_settings=from_rows(recipe_settings_with_targets),
    script:
        "../scripts/stage.py"


use rule prune_heads as prune_rows with:
    log:
        "logs/prune_rows/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="prune_rows"),
    params:
        **stage("speech2unit.recipes.prune_rows", registry_modules=from_rows(encoder_modules)),


use rule prune_heads as prune_layers with:
    log:
        "logs/prune_layers/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="prune_layers"),
    params:
        **stage("speech2unit.recipes.prune_layers", registry_modules=from_rows(encoder_modules)),


use rule prune_heads as prune_weights with:
    log:
        "logs/prune_weights/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="prune_weights"),
    params:
        **stage("speech2unit.recipes.prune_weights", registry_modules=from_rows(encoder_modules)),


use rule prune_heads as factorize_layers with:
    log:
        "logs/factorize_layers/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="factorize_layers"),
    params:
        **stage("speech2unit.recipes.factorize_layers", registry_modules=from_rows(encoder_modules)),


use rule prune_heads as distil_posteriors with:
    input:
        parent_model=from_rows(parent_file, "model.safetensors"),
        parent_config=from_rows(parent_file, "config.json"),
        manifests=from_rows(encoder_manifests),
    log:
        "logs/distil_posteriors/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="distil_posteriors"),
    params:
        **stage("speech2unit.recipes.distil_posteriors", registry_modules=from_rows(encoder_modules)),
        wildcard_settings=from_rows(recipe_settings),


use rule distil_posteriors as distil_layers with:
    log:
        "logs/distil_layers/{encoder}.log",
    wildcard_constraints:
        encoder=wildcard_pattern(ROWS["encoders"], recipe="distil_layers"),
    params:
        **stage("speech2unit.recipes.distil_layers", registry_modules=from_rows(encoder_modules)),
