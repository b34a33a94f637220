"""Render the statistics of all units as a page of the report."""

import pandas

from evaluation.pages import save_page, table_html
from speech2unit.schemas import STATISTICS
from storage import tables

HEADINGS = dict(
    codebook="codebook",
    corpus="corpus",
    split="split",
    num_clusters="units",
    dead_units="dead",
    entropy="entropy, bits",
    units_per_second="reduced units/s",
    bitrate="bits/s",
    frame_bitrate="bits/s without reduction",
    num_labels="labels",
    label_purity="label purity",
    cluster_purity="cluster purity",
    pnmi="PNMI",
)
DIGITS = dict(entropy=2, units_per_second=1, bitrate=1, frame_bitrate=1, label_purity=3, cluster_purity=3, pnmi=3)


def shown_columns(frame):
    """Return the columns of a data frame of `STATISTICS` that the page shows, as text with headings. Null is shown as –."""
    texts = {name: [_text(value, digits) for value in frame[name].astype(float)] for name, digits in DIGITS.items()}
    return frame.assign(**texts).rename(columns=HEADINGS)[list(HEADINGS.values())]


def _text(value, digits):
    return "–" if pandas.isna(value) else f"{value:.{digits}f}"


def render_units(*, statistics, page):
    """Stage: write an HTML page with all rows of several tables of `STATISTICS`.

    Args:
        statistics: tables of `STATISTICS`.
        page: HTML file to write.
    """
    frame = tables.read_many(statistics, STATISTICS).to_pandas()
    save_page(table_html(shown_columns(frame), "Units"), "Units", page)
