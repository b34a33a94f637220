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
    task_plots = [f"{task}/plots/{name}" for name in ("classes", "training", "confusion")]
    return task_plots + units + trained + audio_figures(corpus, codebook)


def report_files(wildcards):
    """Input function of `all`: everything that the report of config["tasks"] shows."""
    figures = sorted({name for task in config["tasks"] for name in task_figures(task)})
    return ["results/summary.html", *expand("results/{figure}.svg", figure=figures)]


def encoder_file(file):
    """Input function: `file` of the codebook's encoder."""

    def path(wildcards):
        return f"results/encoders/{ROWS['codebooks'][wildcards.codebook]['encoder']}/{file}"

    return path
