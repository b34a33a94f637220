def output_patterns(wildcards):
    """Params function: a regular expression of each file that rules make, with the name of the rule."""
    return [(file.regex().pattern, rule.name) for rule in workflow.rules for file in rule.output]


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
