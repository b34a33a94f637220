"""Look-ups of the report: the figures and statistics of the tasks in config.tasks."""

from workflow.scripts.lookups.comparisons import compared_tasks, comparison_folder
from workflow.scripts.lookups.tasks import prompt_owner

UNTRAINED_RECIPES = ("fit_log_mel", "convert_encoder")  # encoders without a training curve


def report_files(rows, config, wildcards):
    """Return all files that the report shows: the pages of the comparison of config.tasks, and the figures of these tasks."""
    comparison = comparison_folder(config, "tasks")
    tasks = compared_tasks(rows, config, comparison)
    figures = sorted({figure for task in tasks for figure in task_figures(rows, task)})
    pages = [f"results/comparisons/{comparison}/{page}.html" for page in ("summary", "units")]
    return [*pages, *(f"results/{figure}.svg" for figure in figures)]


def unit_statistics(rows, config, wildcards):
    """Return the statistics of all units that the tasks of a comparison use, including those of pseudo-labels."""
    pairs = set()
    for task in compared_tasks(rows, config, wildcards.comparison):
        row = rows["tasks"][task]
        pairs |= _used_units(rows, rows["ulms"][row["ulm"]]["codebook"], row["corpus"])
    return [f"results/units/{codebook}/{corpus}/statistics.parquet" for codebook, corpus in sorted(pairs)]


def task_figures(rows, task):
    """Return the figures of a task and of everything that it uses, as paths below results/ without the suffix.

    A task with folds has its own confusion matrix and otherwise the figures of its first fold.
    """
    row = rows["tasks"][task]
    if row["fold_tasks"]:
        first, *_ = row["fold_tasks"]
        return [
            f"{task}/plots/confusion",
            *(figure for figure in task_figures(rows, first) if figure != f"{first}/plots/confusion"),
        ]
    ulm = rows["ulms"][row["ulm"]]
    units = f"units/{ulm['codebook']}/{row['corpus']}"
    figures = [
        f"{task}/plots/classes",
        f"{prompt_owner(rows, task)}/plots/training",
        f"{task}/plots/confusion",
        f"{units}/plots/unit_usage",
        f"{units}/plots/unit_lengths",
    ]
    if not ulm["published"]:
        figures.append(f"ulm/{row['ulm']}/plots/training")
    if not rows["corpora"][row["corpus"]]["codebook"]:  # otherwise the corpus starts at units
        figures += _audio_figures(rows, row["corpus"], ulm["codebook"])
    return figures


def _audio_figures(rows, corpus, codebook):
    """Return the figures that need audio and, if the encoder is trained here, the one of its training curve."""
    figures = [f"corpora/{corpus}/plots/durations", f"units/{codebook}/{corpus}/plots/utterances"]
    encoder = rows["codebooks"][codebook]["encoder"]
    if encoder and rows["encoders"][encoder]["recipe"] not in UNTRAINED_RECIPES:
        figures.append(f"encoders/{encoder}/plots/training")
    return figures


def _used_units(rows, codebook, corpus):
    """Return the pairs (codebook, corpus) of units, of the pseudo-labels that their encoder was trained on, and so on."""
    pairs = {(codebook, corpus)}
    encoder = rows["encoders"].get(rows["codebooks"][codebook]["encoder"])
    if encoder:
        for target in encoder["targets"]:
            for training_corpus in encoder["corpora"]:
                pairs |= _used_units(rows, target, training_corpus)
    return pairs
