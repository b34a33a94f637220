"""What an encoder is worth, end to end: one row each, and the figure."""

import re
from pathlib import Path

import pandas
import yaml
from snakemake.utils import update_config

from workflow.scripts import rows as config_rows
from workflow.scripts.config_files import default_config

ROOT = Path(__file__).parents[2]
SET = "results/comparisons/melhubert"


def test_the_comparison_has_every_kind_of_encoder_beside_its_parent(monkeypatch):
    monkeypatch.chdir(ROOT)
    config = default_config()
    update_config(config, yaml.safe_load((ROOT / "config/experiments/encoders/config.yaml").read_text()))
    rows = config_rows.read_rows(config, ROOT / "workflow/schemas")
    compared = [rows["encoders"][name] for name in config["encoders"]]
    kinds = {"prune_heads", "prune_rows", "prune_weights", "factorize_layers", "distil_posteriors", "distil_layers"}
    assert len(compared) >= 8 and {row["recipe"] for row in compared} == kinds | {"pretrain_melhubert"}
    assert {row["parent"] for row in compared} == {"", "melhubert_mixed"}
    codebooks = [rows["ulms"][rows["tasks"][task]["ulm"]]["codebook"] for task in rows["tasks"].expand_names(config["tasks"])]
    assert [rows["codebooks"][name]["encoder"] for name in codebooks] == [name for name in config["encoders"] for _seed in (1, 2)]


def test_the_summary_of_encoders_costs_three_more_jobs(project):
    """`project` is what the other tests look at: nothing may be left that was not there."""
    summary, figure = project / f"{SET}/encoders_summary.parquet", project / f"{SET}/plots/encoders.svg"
    made = [
        summary,
        figure,
        project / f"{SET}/measurements.parquet",
        project / "results/encoders/melhubert/probe.parquet",
    ]
    project.snakemake("--cores", 2, "--", f"{SET}/plots/encoders.svg")
    (row,) = pandas.read_parquet(summary).to_dict("records")
    assert (row["encoder"], row["codebook"], list(row["tasks"]), row["speedup"]) == ("melhubert", "melhubert_16", ["SCR"], 1.0)
    assert row["agreement"] == 1 and 0 < row["purity"] <= 1 and row["multiply_adds"] > 1e5
    assert re.search("</svg>", figure.read_text())
    [path.unlink() for path in made]
