"""The page has one row for each split of each table, with a dash for unknown values."""

import io

import pandas

from speech2unit.render_units import HEADINGS, render_units
from speech2unit.schemas import STATISTICS
from storage import tables

ROW = dict(
    codebook="km",
    corpus="c",
    split="train",
    num_utterances=9,
    seconds=4.0,
    num_clusters=100,
    dead_units=3,
    num_units=90,
    entropy=5.554,
    units_per_second=22.5,
    bitrate=124.97,
    num_frames=200,
    frame_entropy=5.0,
    frame_bitrate=250.0,
    num_labels=12,
    label_purity=0.2,
    cluster_purity=0.1,
    pnmi=0.0555,
)
UNKNOWN = dict.fromkeys(["seconds", "units_per_second", "bitrate", "num_frames", "frame_entropy", "frame_bitrate", "pnmi"])


def test_a_row_for_each_split_of_each_table(tmp_path):
    tables.write(tmp_path / "a.parquet", [ROW, ROW | dict(split="test")], STATISTICS)
    tables.write(tmp_path / "b.parquet", [ROW | dict(codebook="other") | UNKNOWN], STATISTICS)
    render_units(statistics=[tmp_path / "a.parquet", tmp_path / "b.parquet"], page=tmp_path / "units.html")
    page = pandas.read_html(io.StringIO((tmp_path / "units.html").read_text()), converters={"bits/s": str, "PNMI": str})[0]
    assert list(page.columns) == list(HEADINGS.values()) and list(page["split"]) == ["train", "test", "train"]
    assert list(page["bits/s"]) == ["125.0", "125.0", "–"] and list(page["PNMI"]) == ["0.056", "0.056", "–"]
    assert list(page["dead"]) == [3, 3, 3]
