# What an encoder is worth: results/encoders/summary.parquet.


localrules:
    plot_encoders,
    summarize_encoders,


rule measure_encoders:
    input:
        models=measured_files("model.safetensors"),
        configs=measured_files("config.json"),
    output:
        measurements="results/encoders/measurements.parquet",
    log:
        "logs/measure_encoders/measurements.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(8000),
    params:
        **stage("speech2unit.measure_encoders"),
        **config["measure_encoders"],
        row=measured_settings,
    script:
        "../scripts/stage.py"


rule probe_encoder:
    input:
        manifest=f"results/corpora/{config['probe_encoder']['corpus']}/manifest.parquet",
        features=probed_features,
        units=probed_units(of_parent=False),
        parent_units=probed_units(of_parent=True),
    output:
        probe="results/encoders/{encoder}/probe.parquet",
    log:
        "logs/probe_encoder/{encoder}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(4000),
    params:
        **stage("speech2unit.probe_encoder"),
        **config["probe_encoder"],
        encoder="{encoder}",
        row=probe_settings,
    script:
        "../scripts/stage.py"


rule summarize_encoders:
    input:
        measurements="results/encoders/measurements.parquet",
        probes=expand("results/encoders/{encoder}/probe.parquet", encoder=config["encoders"]),
        acc=evaluation_files("acc.json"),
        samples=evaluation_files("samples.parquet"),
    output:
        summary="results/encoders/summary.parquet",
    log:
        "logs/summarize_encoders/summary.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.summarize_encoders"),
        **config["score"],
        row=evaluation_settings,
    script:
        "../scripts/stage.py"


rule plot_encoders:
    input:
        summary="results/encoders/summary.parquet",
    output:
        figure=report(
            "results/encoders/plots/encoders.svg",
            caption="../report/encoders.rst",
            category="Results",
            labels={"figure": "What encoders are worth"},
        ),
    log:
        "logs/plot_encoders/encoders.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.plot_encoders"),
    script:
        "../scripts/stage.py"
