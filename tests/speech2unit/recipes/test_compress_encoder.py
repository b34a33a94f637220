"""Compression: the curve over all steps, repeated trainings, reproducible results, encoders that were compressed before."""

import pytest

from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.recipes.compress_encoder import load_student, shrink_and_train
from speech2unit.recipes.factorize_layers import factorize_layers
from speech2unit.recipes.prune_heads import prune_heads
from speech2unit.recipes.prune_rows import prune_rows
from storage import tables
from storage.schemas import TRAINING
from storage.weights import load_tensors
from tests.equality import assert_same_tensors

ARGUMENTS = (
    "parent_model",
    "parent_config",
    "manifests",
    "roots",
    "targets",
    "num_targets",
    "dropout",
    "data",
    "seed",
)


def student_of(arguments):
    return load_student(**{name: arguments[name] for name in ARGUMENTS})


@pytest.mark.slow
def test_the_curve_has_every_training_and_the_loss_after_each_step(prepare_stage):
    arguments, *_ = prepare_stage("melhubert")
    steps = []
    curve = shrink_and_train(
        student_of(arguments),
        steps.append,
        num_updates_before=2,
        num_updates=[1, 0, 0, 2],
        optimization=arguments["optimization"],
        seed=1,
    )
    assert steps == [0, 1, 2, 3]
    assert [(row["update"], row["measure"]) for row in curve if row["split"] == "dev"] == [
        (0, "loss"),
        (1, "loss"),
        (2, "loss"),
        (2, "loss_after_shrinking"),
        (3, "loss"),
        (3, "loss_after_shrinking"),
        (4, "loss"),
        (5, "loss"),
    ]
    seconds = [row["seconds"] for row in curve]
    assert seconds == sorted(seconds)


@pytest.mark.slow
def test_training_after_a_step_is_repeated_until_it_is_ready(prepare_stage):
    arguments, *_ = prepare_stage("melhubert")
    answers = iter([False, True, False, False])
    curve = shrink_and_train(
        student_of(arguments),
        lambda step: None,
        num_updates_before=0,
        num_updates=[1, 1],
        optimization=arguments["optimization"],
        seed=1,
        is_ready=lambda curve: next(answers),
        max_rounds=2,
    )
    assert [row["update"] for row in curve if row["measure"] == "loss_after_shrinking"] == [0, 2]
    assert curve[-1]["update"] == 4
    assert list(answers) == []


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "hubert", "whisper"])
def test_the_same_seed_gives_the_same_tensors_and_curve(prepare_stage, transformer):
    tensors = []
    curves = []
    for name in ("first", "second"):
        arguments, *_ = prepare_stage(transformer, name)
        prune_rows(**arguments, rows_per_layer=4, num_updates_before=0, num_updates=[2])
        tensors.append(load_tensors(arguments["model"]))
        curves.append(tables.read(arguments["training"], TRAINING).drop_columns("seconds"))
    assert_same_tensors(*tensors)
    assert curves[0].equals(curves[1])


def test_targets_other_than_the_parents_are_refused(prepare_stage):
    arguments, *_ = prepare_stage("melhubert")
    message = r"expected targets with \[5\] clusters, got \[7\]; name the parent's targets in config/enc"
    with pytest.raises(ValueError, match=message):
        student_of(arguments | dict(num_targets=[7]))


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "wavlm", "whisper", "conformer"])
def test_a_compressed_encoder_can_be_a_parent(prepare_stage, transformer):
    arguments, load_model, _ = prepare_stage(transformer, "child")
    prune_heads(**arguments, criterion="l1", heads_per_layer=1, scored_fraction=1.0, num_updates_before=0, num_updates=[1])
    heads_of_child = [sizes["heads"] for sizes in layer_sizes(load_model("child"))]
    child = dict(parent_model=arguments["model"], parent_config=arguments["config"])
    arguments, *_ = prepare_stage(transformer, "grandchild")
    factorize_layers(**arguments | child, criterion="rank", amount=4, num_updates=1)
    sizes_of_grandchild = layer_sizes(load_model("grandchild"))
    assert [sizes["heads"] for sizes in sizes_of_grandchild] == heads_of_child
    assert all(set(sizes["ranks"].values()) == {4} for sizes in sizes_of_grandchild)
