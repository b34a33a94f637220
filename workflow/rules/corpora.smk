# Manifests of corpora, and corpora that are made here.


from workflow.scripts.lookups.corpora import (
    corpus_address,
    corpus_contents,
    divided_manifest,
    first_root,
    fold_settings,
    intent_settings,
    listing_settings,
    manifest_settings,
    mixture_settings,
    slot_manifests,
    slot_settings,
    string_settings,
    synthesis_settings,
    unit_contents,
    unit_sources,
)
from workflow.scripts.lookups.predictions import listed_units_settings
from workflow.scripts.lookups.registries import adapter_module
from workflow.scripts.lookups.units import size_settings

FETCHED_CORPORA = {name: row for name, row in ROWS["corpora"].items() if row["address"]}


localrules:
    fetch_corpus,
    import_units,
    list_units,
    make_fold,


rule synthesize_commands:
    output:
        audio=local(directory("results/corpora/{corpus}/speech/audio")),
        metadata=local("results/corpora/{corpus}/speech/metadata.csv"),
    log:
        "logs/synthesize_commands/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.synthesize_commands"),
        wildcard_settings=from_rows(synthesis_settings),
    script:
        "../scripts/stage.py"


rule synthesize_intents:
    output:
        audio=local(directory("results/corpora/{corpus}/sentences/audio")),
        metadata=local("results/corpora/{corpus}/sentences/metadata.csv"),
    log:
        "logs/synthesize_intents/{corpus}.log",
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.synthesize_intents"),
        wildcard_settings=from_rows(intent_settings),
    script:
        "../scripts/stage.py"


rule concatenate_clips:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        audio=local(directory("results/corpora/{corpus}/strings/audio")),
        metadata=local("results/corpora/{corpus}/strings/metadata.csv"),
    log:
        "logs/concatenate_clips/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.concatenate_clips"),
        wildcard_settings=from_rows(string_settings),
    script:
        "../scripts/stage.py"


rule concatenate_slots:
    input:
        manifests=from_rows(slot_manifests),
    output:
        audio=directory("results/corpora/{corpus}/slots/{other}/audio"),
        metadata="results/corpora/{corpus}/slots/{other}/metadata.csv",
    log:
        "logs/concatenate_slots/{corpus}/{other}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
        other=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.concatenate_slots"),
        wildcard_settings=from_rows(slot_settings),
    script:
        "../scripts/stage.py"


rule fetch_corpus:
    input:
        source=external_files(corpus_address),
    output:
        root=local(directory("results/corpora/{corpus}/fetched")),
    log:
        "logs/fetch_corpus/{corpus}.log",
    wildcard_constraints:
        corpus=wildcard_pattern(FETCHED_CORPORA),
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(500),
    params:
        **stage("speech2unit.corpora.fetch_corpus"),
    script:
        "../scripts/stage.py"


rule mix_speakers:
    input:
        manifest="results/corpora/{corpus}/manifest.parquet",
    output:
        audio=directory("results/corpora/{corpus}/mixtures/audio"),
        metadata="results/corpora/{corpus}/mixtures/metadata.csv",
    log:
        "logs/mix_speakers/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.mix_speakers"),
        wildcard_settings=from_rows(mixture_settings),
    script:
        "../scripts/stage.py"


rule make_manifest:
    input:
        source=find_corpus_source,
    output:
        manifest="results/corpora/{corpus}/manifest.parquet",
        rejected="results/corpora/{corpus}/rejected.parquet",
    log:
        "logs/make_manifest/{corpus}.log",
    wildcard_constraints:
        corpus=WHOLE_CORPORA,
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.corpora.make_manifest", registry_modules=from_rows(adapter_module)),
        rejected_if_stopped="logs/make_manifest/{corpus}/rejected.parquet",
        wildcard_settings=from_rows(manifest_settings),
        external_files=from_rows(corpus_contents),
        first_root=from_rows(first_root),
    script:
        "../scripts/stage.py"


rule make_fold:
    input:
        whole=from_rows(divided_manifest),
    output:
        manifest="results/corpora/{corpus}/manifest.parquet",
    log:
        "logs/make_fold/{corpus}.log",
    wildcard_constraints:
        corpus=FOLD_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(1000),
    params:
        **stage("speech2unit.corpora.make_fold"),
        wildcard_settings=from_rows(fold_settings),
    script:
        "../scripts/stage.py"


rule import_units:
    input:
        source=external_files(unit_sources),
    output:
        manifest="results/units/{codebook}/{corpus}/manifest.parquet",
        reduced_units="results/units/{codebook}/{corpus}/reduced_units.parquet",
    log:
        "logs/import_units/{codebook}/{corpus}.log",
    wildcard_constraints:
        corpus=UNIT_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.import_units"),
        codebook="{codebook}",
        wildcard_settings=from_rows(size_settings),
        external_files=from_rows(unit_contents),
    script:
        "../scripts/stage.py"


rule list_files:
    input:
        source=find_corpus_source,
    output:
        files="results/corpora/{corpus}/files.parquet",
    log:
        "logs/list_files/{corpus}.log",
    wildcard_constraints:
        corpus=WHOLE_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.corpora.list_files", registry_modules=from_rows(adapter_module)),
        wildcard_settings=from_rows(listing_settings),
        external_files=from_rows(corpus_contents),
        first_root=from_rows(first_root),
    script:
        "../scripts/stage.py"


rule list_units:
    input:
        source=external_files(unit_sources),
    output:
        files="results/corpora/{corpus}/files.parquet",
    log:
        "logs/list_units/{corpus}.log",
    wildcard_constraints:
        corpus=UNIT_CORPORA,
    conda:
        "../../environment.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.list_units"),
        wildcard_settings=from_rows(listed_units_settings),
        external_files=from_rows(unit_contents),
    script:
        "../scripts/stage.py"
