# Costs and quality of the encoders that the config lists.


from workflow.scripts.lookups.encoders import (
    evaluation_files,
    evaluation_settings,
    measured_files,
    measured_settings,
    probe_features,
    probe_parent_units,
    probe_settings,
    probe_units,
)
from workflow.scripts.lookups.registries import measured_modules


localrules:
    plot_encoders,
    summarize_encoders,


rule measure_encoders:
    input:
        models=from_rows(measured_files, "model.safetensors"),
        configs=from_rows(measured_files, "config.json"),
    output:
        measurements=f"results/comparisons/{encoder_set}/measurements.parquet",
    log:
        "logs/measure_encoders/measurements.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(8000),
    params:
        **stage("speech2unit.measure_encoders", registry_modules=from_rows(measured_modules)),
        **config["measure_encoders"],
        wildcard_settings=from_rows(measured_settings),
    script:
        "../scripts/stage.py"


rule probe_encoder:
    input:
        manifest=f"results/corpora/{config['probe_encoder']['corpus']}/manifest.parquet",
        features=from_rows(probe_features),
        units=from_rows(probe_units),
        parent_units=from_rows(probe_parent_units),
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
        wildcard_settings=from_rows(probe_settings),
    script:
        "../scripts/stage.py"


rule summarize_encoders:
    input:
        measurements=f"results/comparisons/{encoder_set}/measurements.parquet",
        probes=expand("results/encoders/{encoder}/probe.parquet", encoder=config["encoders"]),
        acc=from_rows(evaluation_files, "acc.json"),
        samples=from_rows(evaluation_files, "samples.parquet"),
    output:
        summary=f"results/comparisons/{encoder_set}/encoders_summary.parquet",
    log:
        "logs/summarize_encoders/summary.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.summarize_encoders"),
        **config["score"],
        wildcard_settings=from_rows(evaluation_settings),
    script:
        "../scripts/stage.py"


rule plot_encoders:
    input:
        summary=f"results/comparisons/{encoder_set}/encoders_summary.parquet",
    output:
        figure=report(
            f"results/comparisons/{encoder_set}/plots/encoders.svg",
            caption="../report/encoders.rst",
            category="Results",
            labels={"figure": "Cost and quality of encoders"},
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
