"""The page of a comparison: a chart of the tasks with intervals and baselines, and tables."""

import math

from evaluation.pages import render, save_page, table_html
from storage import tables
from ulm.schemas import SUMMARY
from ulm.summary_template import BODY, CSS

MAIN_HEADINGS = dict(  # column of `shown_columns` → heading of the first table
    task="task",
    metric="metric",
    value_with_interval="test value [95 % interval]",
    short_ngram_value="n-gram baseline",
    short_majority_value="majority baseline",
    rows="n, test rows",
    num_seeds="seeds",
    trained="trained parameters",
)
HEADINGS = dict(  # column of `shown_columns` → heading of the table of all columns
    task="task",
    corpus="corpus",
    codebook="codebook",
    ulm="unit LM",
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
)
FRACTIONS = ("value", "ngram_value", "majority_value", "accuracy", "free_accuracy")  # columns that are shown in percent
NUM_STEPS = 5  # of the axis of a chart; the style sheet draws as many


def percent(fraction):
    """Return a fraction as text: `0.9125` → `91.25 %`."""
    return f"{100 * fraction:.2f} %"


def short_percent(fraction):
    """Return a fraction as text with one digit: `0.9125` → `91.2 %`, as precise as intervals are shown."""
    return f"{100 * fraction:.1f} %"


def shown_columns(frame):
    """Return the columns of `MAIN_HEADINGS` and `HEADINGS` as text, from a data frame of `SUMMARY`."""
    intervals = list(zip(frame.value_low, frame.value_high))
    return frame.assign(
        metric=[f"{metric} {'↑' if higher else '↓'}" for metric, higher in zip(frame.metric, frame.higher_is_better)],
        value_with_interval=[
            f"{short_percent(value)} [{100 * low:.1f}, {100 * high:.1f}]" for value, (low, high) in zip(frame.value, intervals)
        ],
        short_ngram_value=frame.ngram_value.map(short_percent),
        short_majority_value=frame.majority_value.map(short_percent),
        rows=frame.num_rows.map("{:,}".format),
        interval=[f"{100 * low:.1f} – {100 * high:.1f} %" for low, high in intervals],
        deviation=[percent(std) if num_seeds > 1 else "–" for std, num_seeds in zip(frame.value_std, frame.num_seeds)],
        examples=frame.examples_per_class.map(lambda number: number or "all"),
        num_illegal=frame.num_illegal.map("{:.1f}".format),
        trained=frame.trained_parameters.map("{:,}".format),
        total=frame.total_parameters.map("{:,}".format),
        **{name: frame[name].map(percent) for name in FRACTIONS},
    )


def charts(frame):
    """Return one chart per metric: its tasks with their places on the axis in percent of its length, and its ticks."""
    parts = []
    for metric, rows in frame.groupby("metric", sort=False):
        end = axis_end(rows[["value_high", "ngram_value", "majority_value"]].max(axis=None))
        ticks = [
            dict(position=100 * step / NUM_STEPS, text=f"{100 * end * step / NUM_STEPS:g} %") for step in range(NUM_STEPS + 1)
        ]
        direction = "higher is better ↑" if rows.higher_is_better.iloc[0] else "lower is better ↓"
        tasks = [chart_row(row, end) for row in rows.itertuples()]
        parts.append(dict(metric=metric, direction=direction, ticks=ticks, tasks=tasks))
    return parts


def axis_end(largest):
    """Return where an axis ends that begins at 0: at 1 (100 %), or for larger error rates at a multiple of 0.5."""
    return max(1.0, math.ceil(2 * largest) / 2)


def chart_row(row, end):
    """Return what a chart shows of a row of `SUMMARY`, on an axis from 0 to `end`."""

    def place(fraction):
        return round(100 * fraction / end, 2)

    return dict(
        name=row.task,
        text=short_percent(row.value),
        in_words=(
            f"{row.task}: {row.metric} {short_percent(row.value)}, "
            f"95 % interval {short_percent(row.value_low)} to {short_percent(row.value_high)}, "
            f"n-gram baseline {short_percent(row.ngram_value)}, majority baseline {short_percent(row.majority_value)}"
        ),
        value=place(row.value),
        low=place(row.value_low),
        width=place(row.value_high - row.value_low),
        ngram=place(row.ngram_value),
        majority=place(row.majority_value),
    )


def page_content(frame, folder):
    """Return what `BODY` shows of a data frame of `SUMMARY`; `folder` is that of the comparison."""
    shown = shown_columns(frame)

    def table(headings, title):
        return table_html(shown.rename(columns=headings)[list(headings.values())], title)

    num_seeds = sorted(set(frame.num_seeds))
    seeds = " to ".join(map(str, {num_seeds[0]: 0, num_seeds[-1]: 0}))
    return dict(
        about=f"{len(frame)} {'task' if len(frame) == 1 else 'tasks'}, {seeds} {'seed' if seeds == '1' else 'seeds'} each.",
        charts=charts(frame),
        main_table=table(MAIN_HEADINGS, "The main numbers"),
        whole_table=table(HEADINGS, "All columns"),
        folder=folder,
    )


def render_summary(*, summary, page, comparison):
    """Stage: write the page of a comparison.

    Args:
        summary: table of `SUMMARY`.
        page: HTML file to write.
        comparison: name of the comparison: names of tasks, joined by `+`, or the name of a set of tasks.
    """
    frame = tables.read(summary, SUMMARY).to_pandas()
    content = page_content(frame, f"results/comparisons/{comparison}")
    save_page(render(BODY, content), f"Results: {comparison.replace('+', ', ')}", page, CSS)
