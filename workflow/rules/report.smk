# Figures and pages of results; `make report` collects those that `snakemake` without a target makes.


from workflow.scripts.lookups.corpora import listing_settings, root_settings
from workflow.scripts.lookups.figures import report_files, unit_statistics
from workflow.scripts.lookups.registries import codebook_modules
from workflow.scripts.lookups.tasks import class_settings
from workflow.scripts.lookups.units import codebook_encoder_file, size_settings


localrules:
    plot_classes,
    plot_durations,
    plot_unit_lengths,
    plot_unit_usage,
    plot_training,
    plot_confusion,
    render_corpus,
    render_summary,
    render_units,


TRAINED_FOLDERS = "|".join(
    [
        f"encoders/({wildcard_pattern(ROWS['encoders'])})",
        f"ulm/({wildcard_pattern(ROWS['ulms'])})",
        f"superb/({wildcard_pattern(ROWS['superb_tasks'])})",
        wildcard_pattern(ROWS["tasks"]),
    ]
)


rule plot_classes:
    input:
        lm_dataset="results/{task}/lm_dataset.parquet",
    output:
        figure=report(
            "results/{task}/plots/classes.svg",
            caption="../report/classes.rst",
            category="Tasks",
            subcategory="{task}",
            labels={"figure": "Classes"},
        ),
    log:
        "logs/plot_classes/{task}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("verbalizer.plot_classes"),
        **config["plot_classes"],
        wildcard_settings=from_rows(class_settings),
    script:
        "../scripts/stage.py"


rule plot_durations:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        figure=report(
            "results/corpora/{corpus}/plots/durations.svg",
            caption="../report/durations.rst",
            category="Corpora",
            subcategory="{corpus}",
            labels={"figure": "Durations"},
        ),
    log:
        "logs/plot_durations/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.plot_durations"),
    script:
        "../scripts/stage.py"


rule render_corpus:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        rejected="results/corpora/{corpus}/rejected.parquet",
    output:
        page=report(
            "results/corpora/{corpus}/page.html",
            caption="../report/corpus.rst",
            category="Corpora",
            subcategory="{corpus}",
            labels={"figure": "Recordings"},
        ),
    log:
        "logs/render_corpus/{corpus}.log",
    wildcard_constraints:
        corpus=WHOLE_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.render_corpus"),
        **config["render_corpus"],
        wildcard_settings=from_rows(listing_settings),
    script:
        "../scripts/stage.py"


rule plot_unit_lengths:
    input:
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
    output:
        figure=report(
            "results/units/{codebook}/{corpus}/plots/unit_lengths.svg",
            caption="../report/unit_lengths.rst",
            category="Units",
            subcategory="{codebook}, {corpus}",
            labels={"figure": "Lengths in units"},
        ),
    log:
        "logs/plot_unit_lengths/{codebook}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.plot_unit_lengths"),
    script:
        "../scripts/stage.py"


rule plot_unit_usage:
    input:
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
    output:
        figure=report(
            "results/units/{codebook}/{corpus}/plots/unit_usage.svg",
            caption="../report/unit_usage.rst",
            category="Units",
            subcategory="{codebook}, {corpus}",
            labels={"figure": "Unit usage"},
        ),
    log:
        "logs/plot_unit_usage/{codebook}/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.plot_unit_usage"),
        wildcard_settings=from_rows(size_settings),
    script:
        "../scripts/stage.py"


rule plot_utterances:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
        model=from_rows(codebook_encoder_file, "model.safetensors"),
        config=from_rows(codebook_encoder_file, "config.json"),
    output:
        figure=report(
            "results/units/{codebook}/{corpus}/plots/utterances.svg",
            caption="../report/utterances.rst",
            category="Units",
            subcategory="{codebook}, {corpus}",
            labels={"figure": "Utterances"},
        ),
    log:
        "logs/plot_utterances/{codebook}/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.plot_utterances", registry_modules=from_rows(codebook_modules)),
        **config["plot_utterances"],
        wildcard_settings=from_rows(root_settings),
    script:
        "../scripts/stage.py"


rule plot_training:
    input:
        training="results/{trained}/training.parquet",
    output:
        figure=report(
            "results/{trained}/plots/training.svg",
            caption="../report/training.rst",
            category="Training",
            labels={"trained": "{trained}", "figure": "Training curves"},
        ),
    log:
        "logs/plot_training/{trained}.log",
    wildcard_constraints:
        trained=TRAINED_FOLDERS,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("evaluation.plot_training"),
    script:
        "../scripts/stage.py"


rule plot_confusion:
    input:
        confusion="results/{task}/confusion.parquet",
    output:
        figure=report(
            "results/{task}/plots/confusion.svg",
            caption="../report/confusion.rst",
            category="Tasks",
            subcategory="{task}",
            labels={"figure": "Confusion matrix"},
        ),
    log:
        "logs/plot_confusion/{task}.log",
    wildcard_constraints:
        task=wildcard_pattern(ROWS["tasks"]),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.plot_confusion"),
        **config["plot_confusion"],
    script:
        "../scripts/stage.py"


rule render_summary:
    input:
        summary="results/comparisons/{comparison}/summary.parquet",
    output:
        page=report(
            "results/comparisons/{comparison}/summary.html",
            caption="../report/summary.rst",
            category="Results",
            labels={"figure": "Chart and table of {comparison}"},
        ),
    log:
        "logs/render_summary/{comparison}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("ulm.render_summary"),
        comparison="{comparison}",
    script:
        "../scripts/stage.py"


rule render_units:
    input:
        statistics=from_rows(unit_statistics),
    output:
        page=report(
            "results/comparisons/{comparison}/units.html",
            caption="../report/units.rst",
            category="Units",
            labels={"figure": "Bitrate, dead units, purity"},
        ),
    log:
        "logs/render_units/{comparison}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.render_units"),
    script:
        "../scripts/stage.py"
