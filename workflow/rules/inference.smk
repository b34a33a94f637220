# Bundles: what labels new recordings.


from workflow.scripts.lookups.inference import (
    bundle_codebook,
    bundle_encoder,
    bundle_pieces,
    bundle_settings,
    superb_bundle_settings,
)
from workflow.scripts.lookups.registries import superb_modules, task_modules
from workflow.scripts.lookups.superb import superb_encoder_file
from workflow.scripts.lookups.tasks import prompt_owner_file, task_ulm_file


localrules:
    bundle,
    superb_bundle,


rule bundle:
    input:
        acc="results/{task}/acc.json",
        rows="results/{task}/binarized.parquet",
        verbalizer="results/{task}/verbalizer.parquet",
        vocabulary=from_rows(task_ulm_file, "vocabulary.parquet"),
        model=from_rows(task_ulm_file, "model.safetensors"),
        config=from_rows(task_ulm_file, "config.json"),
        tuned_weights=from_rows(prompt_owner_file, "prompt.safetensors"),
        codebook=from_rows(bundle_codebook),
        encoder=from_rows(bundle_encoder),
        pieces=from_rows(bundle_pieces),
    output:
        bundle=directory("results/{task}/bundle"),
    log:
        "logs/bundle/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        **stage("inference.bundle", registry_modules=from_rows(task_modules)),
        wildcard_settings=from_rows(bundle_settings),
    script:
        "../scripts/stage.py"


rule superb_bundle:
    input:
        score="results/superb/{superb_task}/score.json",
        classes="results/superb/{superb_task}/classes.parquet",
        model=from_rows(superb_encoder_file, "model.safetensors"),
        config=from_rows(superb_encoder_file, "config.json"),
        tuned="results/superb/{superb_task}/tuned.safetensors",
    output:
        bundle=directory("results/superb/{superb_task}/bundle"),
    log:
        "logs/superb_bundle/{superb_task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        **stage("inference.superb_bundle", registry_modules=from_rows(superb_modules)),
        wildcard_settings=from_rows(superb_bundle_settings),
    script:
        "../scripts/stage.py"
