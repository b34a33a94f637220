# Which figures belong to a task.


def audio_figures(corpus, codebook):
    """Figures that need the audio behind the units, and the training curve of an encoder that was trained here."""
    row = ROWS["corpora"][corpus]
    if row["codebook"]:
        return []
    encoder = ROWS["codebooks"][codebook]["encoder"]
    recipe = ROWS["encoders"][encoder]["recipe"] if encoder else None
    trained = [f"encoders/{encoder}/plots/training"] if recipe not in (None, "fit_log_mel", "convert_encoder") else []
    return [f"corpora/{corpus}/plots/durations", f"units/{codebook}/{corpus}/plots/utterances", *trained]


def task_figures(task):
    """Figures of a task and of what it stands on, under results/ and without their ending."""
    row = ROWS["tasks"][task]
    ulm = ROWS["ulms"][row["ulm"]]
    corpus, codebook = row["corpus"], ulm["codebook"]
    trained = [f"ulm/{row['ulm']}/plots/training"] if not ulm["published"] else []
    units = [f"units/{codebook}/{corpus}/plots/{name}" for name in ("unit_usage", "unit_lengths")]
    task_plots = [f"{task}/plots/classes", f"{trained_task(task)}/plots/training", f"{task}/plots/confusion"]
    return task_plots + units + trained + audio_figures(corpus, codebook)


def codebooks_behind(codebook, corpus):
    """(codebook, corpus) of units that a task uses, and of the pseudo-labels that its encoder was pre-trained on."""
    encoder = ROWS["encoders"].get(ROWS["codebooks"][codebook]["encoder"], dict(targets=[]))
    targets = [pair for name in encoder["targets"] for each in encoder["corpora"] for pair in codebooks_behind(name, each)]
    return [(codebook, corpus), *targets]


def unit_statistics(wildcards):
    """Input function: the statistics of all units behind config["tasks"]."""
    rows = [ROWS["tasks"][task] for task in TASKS]
    pairs = {pair for row in rows for pair in codebooks_behind(ROWS["ulms"][row["ulm"]]["codebook"], row["corpus"])}
    return [f"results/units/{codebook}/{corpus}/statistics.parquet" for codebook, corpus in sorted(pairs)]


def report_files(wildcards):
    """Input function of `all`: everything that the report of config["tasks"] shows."""
    figures = sorted({name for task in TASKS for name in task_figures(task)})
    return ["results/summary.html", "results/units.html", *expand("results/{figure}.svg", figure=figures)]


def encoder_file(file):
    """Input function: `file` of the codebook's encoder."""

    def path(wildcards):
        return f"results/encoders/{ROWS['codebooks'][wildcards.codebook]['encoder']}/{file}"

    return path
