"""Distillation of posteriors: the student's sizes and front end, and the published number of parameters."""

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


@pytest.mark.slow
@pytest.mark.parametrize("masked", [True, False])
def test_a_student_has_its_own_sizes_and_the_front_end_of_its_teacher(prepare_stage, masked):
    arguments, load_model, _ = prepare_stage("melhubert")
    del arguments["targets"]
    num_targets = arguments.pop("num_targets")
    student = dict(sizes=SIZES, initialization="pytorch", temperature=1.0, masked=masked)
    distil_posteriors(**arguments, **student, num_updates=3)
    expected = MelHuBERTConfig(**SIZES, conv_kernel=4, conv_groups=2, num_targets=num_targets)
    assert load_model("child").config == expected
    assert torch.equal(load_tensors(arguments["model"])["std"], torch.full((40,), 2.0))
    curve = tables.read(arguments["training"], TRAINING).to_pylist()
    assert {row["update"] for row in curve} == {1, 2, 3}


def test_the_published_student_has_the_published_number_of_parameters():
    sizes = default_config()["distil_posteriors"]["published"]["sizes"]
    with torch.device("meta"):
        student = MelHuBERTModel(replace(MelHuBERTConfig(12, 768, 3072, 12, 128, 16, (512,)), **sizes))
    assert sum(parameter.numel() for parameter in student.parameters()) == 47_704_192
