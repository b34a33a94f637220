include: "workflow/rules/start.smk"


configfile: "config/config.yaml"
configfile: "config/presets/corpora.yaml"
configfile: "config/presets/compression.yaml"
configfile: "config/presets/encoders.yaml"
configfile: "config/presets/prompts.yaml"
configfile: "config/presets/superb.yaml"
configfile: "config/presets/unit_lms.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/speech2unit.smk"
include: "workflow/rules/encoders.smk"
include: "workflow/rules/compression.smk"
include: "workflow/rules/verbalizer.smk"
include: "workflow/rules/pieces.smk"
include: "workflow/rules/ulm.smk"
include: "workflow/rules/superb.smk"
include: "workflow/rules/inference.smk"
include: "workflow/rules/encoder_summary.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/verify.smk"


onerror:
    repeat_at_exit(log)


rule all:
    default_target: True
    input:
        from_rows(report_files),


rule missing:
    input:
        find_missing_outputs,


rule unknown_name:
    input:
        refuse_unknown_name,
    output:
        "results/{unknown}",
    wildcard_constraints:
        unknown=unknown_paths(ROWS, config),
