"""The table of results as a page of the report."""

from speech2unit import tables
from speech2unit.files import atomic
from ulm.schemas import SUMMARY

CSS = """body {font-family: sans-serif; margin: 1em} table {border-collapse: collapse; font-size: 14px}
th, td {padding: 4px 10px; text-align: right; border-bottom: 1px solid #ddd} thead th {background: #f2f2f2}
td:first-child, th:first-child {text-align: left; font-weight: bold}"""


def percent(fraction):
    """`0.9125` → `91.25 %`."""
    return f"{100 * fraction:.2f} %"


def shown_columns(frame):
    """`SUMMARY` as a data frame → what a reader compares, as text: accuracy with its interval beside the baselines."""
    return frame.assign(
        accuracy=frame.accuracy.map(percent),
        interval=[f"{100 * low:.1f} – {100 * high:.1f} %" for low, high in zip(frame.accuracy_low, frame.accuracy_high)],
        deviation=[percent(std) if seeds > 1 else "–" for std, seeds in zip(frame.accuracy_std, frame.num_seeds)],
        ngram=frame.ngram_accuracy.map(percent), majority=frame.majority_accuracy.map(percent), free=frame.free_accuracy.map(percent),
        trained=frame.trained_parameters.map("{:,}".format), total=frame.total_parameters.map("{:,}".format),
    ).rename(columns=HEADINGS)[list(HEADINGS.values())]  # fmt: skip


HEADINGS = dict(
    task="task", accuracy="test accuracy", interval="95 % interval", deviation="standard deviation over seeds", num_seeds="seeds",
    num_rows="test rows", ngram="n-gram baseline", majority="majority baseline", free="accuracy, free decoding",
    num_illegal="illegal outputs, free decoding", trained="trained parameters", total="all parameters", corpus="corpus",
    codebook="codebook", ulm="unit LM",
)  # fmt: skip


def render_summary(*, summary, page):
    """Stage: `summary` as an HTML page."""
    frame = shown_columns(tables.read(summary, SUMMARY).to_pandas())
    table = frame.to_html(index=False, border=0)
    with atomic(page) as temporary:
        temporary.write_text(f'<!doctype html><meta charset="utf-8"><title>Results</title><style>{CSS}</style>{table}\n')
