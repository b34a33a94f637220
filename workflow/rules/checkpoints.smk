from workflow.scripts.lookups.checkpoints import download_settings


localrules:
    download_checkpoint,


rule download_checkpoint:
    output:
        file=local(update(CHECKPOINT_FILE)),
    log:
        "logs/download_checkpoint/{checkpoint}/{file}.log",
    wildcard_constraints:
        file="[^/]+",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(500),
    params:
        **stage("storage.untrusted.download_checkpoint"),
        **config["download_checkpoint"],
        wildcard_settings=from_rows(download_settings),
    script:
        "../scripts/stage.py"
