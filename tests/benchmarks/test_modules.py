"""Benchmarks that take minutes: they can be imported, and their settings fit the stages and presets of the project."""

import importlib
import pkgutil

import numpy as np
import pytest

import benchmarks
from workflow.scripts.config_files import default_config


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(benchmarks.__path__)])
def test_a_benchmark_can_be_imported(name):
    importlib.import_module(f"benchmarks.{name}")


def test_the_settings_of_the_papers_are_keys_of_our_preset():
    from benchmarks.time_to_accuracy import PAPERS

    preset = default_config()["tune_prompt"]["prompt5_target_long"]
    assert PAPERS.keys() <= preset.keys()
    for key in ("prompt", "data", "optimization"):
        assert PAPERS[key].keys() == preset[key].keys()


def test_the_published_preset_masks_crops_of_full_length():
    from benchmarks.melhubert_step import NUM_CROPS, published_batch

    data = default_config()["pretrain_melhubert"]["published"]["data"]
    frames, *_, mask = published_batch(data, np.random.default_rng(0))
    assert frames.shape[:2] == mask.shape == (NUM_CROPS, data["max_crop_frames"]) and mask.any()
