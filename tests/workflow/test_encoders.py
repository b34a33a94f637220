"""What an encoder is worth, end to end: one row each, and the figure."""

import re

import pandas


def test_the_summary_of_encoders_costs_three_more_jobs(project):
    """`project` is what the other tests look at: nothing may be left that was not there."""
    summary, figure = project / "results/encoders/summary.parquet", project / "results/encoders/plots/encoders.svg"
    made = [
        summary,
        figure,
        project / "results/encoders/measurements.parquet",
        project / "results/encoders/melhubert/probe.parquet",
    ]
    project.snakemake("--cores", 2, "--", "results/encoders/plots/encoders.svg")
    (row,) = pandas.read_parquet(summary).to_dict("records")
    assert (row["encoder"], row["codebook"], row["task"], row["speedup"]) == ("melhubert", "melhubert_16", "SCR", 1.0)
    assert row["agreement"] == 1 and 0 < row["purity"] <= 1 and row["multiply_adds"] > 1e5
    assert re.search("</svg>", figure.read_text())
    [path.unlink() for path in made]
