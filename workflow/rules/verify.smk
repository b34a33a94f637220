localrules:
    verify,


rule verify:
    log:
        "logs/verify/verify.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("storage.verify"),
        folder="results",
        makers=output_patterns,
    script:
        "../scripts/stage.py"
