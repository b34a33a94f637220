"""Distillation of posteriors: a smaller student of its own, the published size."""

from dataclasses import replace

import pytest
import torch

from speech2unit.encoders.models.melhubert import MelHuBERTConfig, MelHuBERTModel
from speech2unit.recipes.distil_posteriors import distil_posteriors
from storage import tables
from storage.schemas import TRAINING
from storage.weights import load_tensors
from workflow.scripts.config_files import default_config

SIZES = dict(num_layers=1, dim=8, ffn_dim=12, num_heads=2)


@pytest.mark.parametrize("masked", [True, False])
def test_a_student_has_its_sizes_and_its_parents_front_end(lineage, masked):
    settings, load, _ = lineage("melhubert")
    targets = [settings.pop(name) for name in ("targets", "num_targets")]
    distil_posteriors(**settings, sizes=SIZES, temperature=1.0, masked=masked, num_updates=3)
    assert load().config == MelHuBERTConfig(**SIZES, conv_kernel=4, conv_groups=2, num_targets=targets[1])
    assert torch.equal(load_tensors(settings["model"])["std"], torch.full((40,), 2.0))
    assert {row["update"] for row in tables.read(settings["training"], TRAINING).to_pylist()} == {1, 2, 3}


def test_the_published_student_has_the_published_size():
    config = default_config()
    sizes = config["distil_posteriors"]["published"]["sizes"]
    with torch.device("meta"):
        student = MelHuBERTModel(replace(MelHuBERTConfig(12, 768, 3072, 12, 128, 16, (512,)), **sizes))
    assert sum(p.numel() for p in student.parameters()) == 47_704_192
