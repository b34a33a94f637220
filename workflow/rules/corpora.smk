# From a corpus, or one made here, to its manifest.


localrules:
    fetch_corpus,
    import_units,


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
        **config["synthesize_commands"],
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
        **config["concatenate_clips"],
        row=root_settings,
    script:
        "../scripts/stage.py"


rule concatenate_slots:
    input:
        manifests=slot_manifests,
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
        **config["concatenate_slots"],
        row=slot_settings,
    script:
        "../scripts/stage.py"


rule fetch_corpus:
    input:
        source=corpus_address,
    output:
        root=local(directory("results/corpora/{corpus}/fetched")),
    log:
        "logs/fetch_corpus/{corpus}.log",
    wildcard_constraints:
        corpus=FETCHED_CORPORA,
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
        **config["mix_speakers"],
        row=root_settings,
    script:
        "../scripts/stage.py"


rule make_manifest:
    input:
        source=corpus_source,
    output:
        manifest="results/corpora/{corpus}/manifest.parquet",
        rejected="results/corpora/{corpus}/rejected.parquet",
    log:
        "logs/make_manifest/{corpus}.log",
    wildcard_constraints:
        corpus=AUDIO_CORPORA,
    conda:
        "../../environment.yaml"
    threads: 2
    resources:
        mem_mb=memory(2000),
    params:
        **stage("speech2unit.corpora.make_manifest"),
        **config["make_manifest"],
        row=manifest_settings,
    script:
        "../scripts/stage.py"


rule import_units:
    input:
        source=unit_sources,
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
        row=size_settings,
    script:
        "../scripts/stage.py"
