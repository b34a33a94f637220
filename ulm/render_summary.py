"""The table of results as a page of the report."""

from evaluation.pages import save_page
from storage import tables
from ulm.schemas import SUMMARY

HEADINGS = dict(  # column of `shown_columns` → heading of the page
    task="task",
    verbalizer="verbalizer",
    tuning="tuning",
    examples="examples per class",
    sampling="sampling",
    metric="metric",
    value="test value",
    interval="95 % interval",
    deviation="standard deviation over seeds",
    num_seeds="seeds",
    num_rows="test rows",
    ngram_value="n-gram baseline",
    majority_value="majority baseline",
    accuracy="accuracy",
    free_accuracy="accuracy, free decoding",
    num_illegal="rows with illegal outputs, free decoding",
    trained="trained parameters",
    total="all parameters",
    corpus="corpus",
    codebook="codebook",
    ulm="unit LM",
)
FRACTIONS = ("value", "ngram_value", "majority_value", "accuracy", "free_accuracy")  # columns that are shown in percent


def percent(fraction):
    """Return a fraction as text: `0.9125` → `91.25 %`."""
    return f"{100 * fraction:.2f} %"


def shown_columns(frame):
    """Return the columns of `HEADINGS` as text, from a data frame of `SUMMARY`."""
    frame = frame.assign(
        metric=[f"{metric} {'↑' if higher else '↓'}" for metric, higher in zip(frame.metric, frame.higher_is_better)],
        interval=[f"{100 * low:.1f} – {100 * high:.1f} %" for low, high in zip(frame.value_low, frame.value_high)],
        deviation=[percent(std) if num_seeds > 1 else "–" for std, num_seeds in zip(frame.value_std, frame.num_seeds)],
        examples=frame.examples_per_class.map(lambda number: number or "all"),
        num_illegal=frame.num_illegal.map("{:.1f}".format),
        trained=frame.trained_parameters.map("{:,}".format),
        total=frame.total_parameters.map("{:,}".format),
        **{name: frame[name].map(percent) for name in FRACTIONS},
    )
    return frame.rename(columns=HEADINGS)[list(HEADINGS.values())]


def render_summary(*, summary, page):
    """Stage: write the results as an HTML page.

    Args:
        summary: table of `SUMMARY`.
        page: HTML file to write.
    """
    save_page(shown_columns(tables.read(summary, SUMMARY).to_pandas()), "Results", page)
