configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/speech2unit.smk"
include: "workflow/rules/encoders.smk"
include: "workflow/rules/compression.smk"
include: "workflow/rules/verbalizer.smk"
include: "workflow/rules/ulm.smk"
include: "workflow/rules/encoder_summary.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/summary.parquet",
        report_files,
