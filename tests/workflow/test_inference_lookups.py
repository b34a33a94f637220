"""Look-ups of bundles: which files a task's bundle holds, and where its parts come from."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from workflow.scripts.config_files import default_config
from workflow.scripts.lookups.inference import (
    bundle_codebook,
    bundle_encoder,
    bundle_pieces,
    bundle_settings,
    part_row,
    superb_bundle_settings,
)
from workflow.scripts.lookups.registries import encoder_modules, measured_modules, superb_modules, task_modules
from workflow.scripts.rows import read_rows

ROOT = Path(__file__).parents[2]
ARCHITECTURES = "speech2unit.encoders.architectures."


@pytest.fixture(scope="module")
def config():
    return default_config()


@pytest.fixture(scope="module")
def rows(config):
    return read_rows(config, ROOT / "workflow/schemas")


def test_a_task_on_audio_has_its_codebook_and_its_encoder(rows, config):
    task = SimpleNamespace(task="SCR_asc_hubert100")
    assert bundle_codebook(rows, config, task)[0] == "results/units/hubert100/centroids.parquet"
    assert bundle_encoder(rows, config, task) == [
        f"results/encoders/hubert_base/{f}" for f in ("model.safetensors", "config.json")
    ]
    assert bundle_pieces(rows, config, task) == []
    settings = bundle_settings(rows, config, task)
    assert settings["codebook_name"] == "hubert100" and settings["num_units"] == 100 and settings["metric"] == "accuracy"
    assert {part["part"]: part["licence"] for part in settings["parts"]}["encoder"] == "MIT"
    assert set(settings["decoding"]) >= {"beam_size", "length_penalty", "max_tokens", "test_time_augmentation"}


def test_a_task_on_published_units_has_neither(rows, config):
    task = SimpleNamespace(task="SCR_gsc_units")
    assert bundle_codebook(rows, config, task) == bundle_encoder(rows, config, task) == task_modules(rows, config, task) == []
    assert [part["part"] for part in bundle_settings(rows, config, task)["parts"]] == ["codebook", "unit LM", "prompt"]


def test_a_superb_task_names_its_encoder_and_its_head(rows, config):
    settings = superb_bundle_settings(rows, config, SimpleNamespace(superb_task="KS_asc_full"))
    assert settings["kind"] == "KS" and [part["name"] for part in settings["parts"]] == ["melhubert_mixed", "KS_asc_full"]


def test_the_origin_of_a_part_is_its_publisher_its_parent_or_its_speech(rows):
    assert part_row(rows, "encoder", "encoders", "hubert_base")["origin"].startswith("published: fairseq")
    distilled = part_row(rows, "encoder", "encoders", "distilalhubert_hubert")
    assert distilled["origin"] == "distil_layers of hubert_base on libri, unlabelled"
    trained = part_row(rows, "unit LM", "ulms", "commands")
    assert trained == dict(part="unit LM", name="commands", origin="trained on commands", licence="that of its training data")


def test_a_job_uses_the_architecture_of_its_encoder_and_of_its_parent(rows, config):
    modules = encoder_modules(rows, config, SimpleNamespace(encoder="distilalhubert_hubert"))
    assert modules == [ARCHITECTURES + "distilalhubert", ARCHITECTURES + "wav2vec2"]
    assert superb_modules(rows, config, SimpleNamespace(superb_task="KS_asc_full")) == [ARCHITECTURES + "melhubert"]
    assert measured_modules(rows, config, SimpleNamespace()) == sorted(set(measured_modules(rows, config, SimpleNamespace())))
