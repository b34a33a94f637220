"""`info` shows what a bundle is, after checking its files."""

import pytest
import torch

from inference.bundle_files import check_hashes, write_bundle
from inference.command_line import main

DESCRIPTION = dict(
    task="SCR",
    corpus="commands",
    kind="prompt",
    input_kind="audio",
    answer_kind="class",
    labels=["yes", "no"],
    seeds=[1, 2],
    best_seed=2,
    num_test_rows=480,
    metrics=[dict(metric="accuracy", value=0.9771, value_low=0.9594, value_high=0.9872, dev=None, baselines={})],
    parts=[dict(part="encoder", name="hubert", origin="https://example.org", licence="MIT")],
)


@pytest.fixture
def bundle(tmp_path):
    tensors = {"tuned.safetensors": dict(prompt=torch.zeros(3))}
    files = {"task.json": {}}
    write_bundle(tmp_path / "bundle", DESCRIPTION, json_files=files, tensors=tensors, encoder=None, card=lambda sizes: "card")
    return tmp_path / "bundle"


def test_task_labels_metrics_parts_and_sizes_are_shown(bundle, capsys):
    assert main(["info", str(bundle)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("SCR: class of audio, trained on commands\n2 labels: yes, no\n")
    assert "accuracy  test   0.9771  0.9594 to 0.9872" in out and "mean over seeds 1, 2" in out
    assert "encoder  hubert  https://example.org  MIT" in out and "tuned.safetensors  0.1 kB" in out and "Seed 2 answers" in out


def test_a_changed_file_is_an_error(bundle, capsys):
    (bundle / "README.md").write_text("another card")
    assert main(["info", str(bundle)]) == 2
    assert "README.md is changed; copy the bundle again, or make it again" in capsys.readouterr().err


def test_the_time_that_snakemake_puts_into_a_folder_is_no_change(bundle, capsys):
    (bundle / ".snakemake_timestamp").touch()
    check_hashes(bundle)
    assert main(["info", str(bundle)]) == 0 and "timestamp" not in capsys.readouterr().out
