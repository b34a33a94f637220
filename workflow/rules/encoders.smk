rule convert_encoder:
    input:
        checkpoint=checkpoint_files("encoders"),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        load_report="results/encoders/{encoder}/load_report.parquet",
    log:
        "logs/convert_encoder/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="convert_encoder"),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(5000),
    params:
        **stage("speech2unit.encoders.convert_encoder"),
        row=published_encoder_settings,
    script:
        "../scripts/stage.py"


rule fit_log_mel:
    input:
        manifests=encoder_manifests,
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
    log:
        "logs/fit_log_mel/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="fit_log_mel"),
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(3000),
    params:
        **stage("speech2unit.recipes.fit_log_mel"),
        row=log_mel_settings,
    script:
        "../scripts/stage.py"


rule pretrain_melhubert:
    input:
        manifests=encoder_manifests,
        targets=encoder_targets,
        front_end=front_end("model.safetensors"),
        front_end_config=front_end("config.json"),
    output:
        model="results/encoders/{encoder}/model.safetensors",
        config="results/encoders/{encoder}/config.json",
        training="results/encoders/{encoder}/training.parquet",
    log:
        "logs/pretrain_melhubert/{encoder}.log",
    wildcard_constraints:
        encoder=names("encoders", recipe="pretrain_melhubert"),
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
        row=melhubert_settings,
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
        encoder=names("encoders", architecture="melhubert"),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.encoders.export_melhubert"),
    script:
        "../scripts/stage.py"
