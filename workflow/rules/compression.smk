rule prune_weights:
    input:
        parent_model=parent_file("model.safetensors"),
        parent_config=parent_file("config.json"),
        manifests=encoder_manifests,
        targets=encoder_targets,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/prune_weights/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="prune_weights"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.prune_weights"),
        row=compression_settings,
    script:
        "../scripts/stage.py"


rule prune_heads:
    input:
        parent_model=parent_file("model.safetensors"),
        parent_config=parent_file("config.json"),
        manifests=encoder_manifests,
        targets=encoder_targets,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/prune_heads/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="prune_heads"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.prune_heads"),
        row=compression_settings,
    script:
        "../scripts/stage.py"


rule prune_rows:
    input:
        parent_model=parent_file("model.safetensors"),
        parent_config=parent_file("config.json"),
        manifests=encoder_manifests,
        targets=encoder_targets,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/prune_rows/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="prune_rows"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.prune_rows"),
        row=compression_settings,
    script:
        "../scripts/stage.py"


rule factorize_layers:
    input:
        parent_model=parent_file("model.safetensors"),
        parent_config=parent_file("config.json"),
        manifests=encoder_manifests,
        targets=encoder_targets,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/factorize_layers/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="factorize_layers"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.factorize_layers"),
        row=compression_settings,
    script:
        "../scripts/stage.py"


rule distil_posteriors:
    input:
        parent_model=parent_file("model.safetensors"),
        parent_config=parent_file("config.json"),
        manifests=encoder_manifests,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/distil_posteriors/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="distil_posteriors"),
    conda:
        "../../environment.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        gpu=config["gpus_per_job"],
        gpu_processes=config["gpus_per_job"],
        runtime=720,
    params:
        **stage("speech2unit.recipes.distil_posteriors"),
        row=recipe_settings,
    script:
        "../scripts/stage.py"
