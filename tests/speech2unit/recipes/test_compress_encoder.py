"""Cutting and training on: the curve of all steps, rounds, one seed one result, refusals, encoders made of made ones."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.recipes.compress_encoder import load_student, shrink_and_train
from speech2unit.recipes.factorize_layers import factorize_layers
from speech2unit.recipes.prune_heads import prune_heads
from speech2unit.recipes.prune_rows import prune_rows
from storage import tables
from storage.schemas import TRAINING
from storage.weights import load_tensors

SOURCE = ("parent_model", "parent_config", "manifests", "roots", "targets", "num_targets")


def student_of(settings):
    how = {name: settings[name] for name in ("dropout", "data", "seed")}
    return load_student(*(settings[name] for name in SOURCE), **how)


def test_the_curve_has_every_step_and_what_the_cut_cost(lineage):
    settings, *_ = lineage("melhubert")
    student, cuts = student_of(settings), []
    curve = shrink_and_train(
        student, cuts.append, num_updates_before=2, num_updates=[1, 0, 0, 2], optimization=settings["optimization"], seed=1
    )
    found = [(row["update"], row["measure"]) for row in curve if row["split"] == "dev"]
    assert found == [
        (0, "loss"),
        (1, "loss"),
        (2, "loss"),
        (2, "loss_after_shrinking"),
        (3, "loss"),
        (3, "loss_after_shrinking"),
        (4, "loss"),
        (5, "loss"),
    ]
    assert cuts == [0, 1, 2, 3]
    seconds = [row["seconds"] for row in curve]
    assert seconds == sorted(seconds)


def test_a_step_is_trained_on_until_it_is_ready(lineage):
    settings, *_ = lineage("melhubert")
    answers = iter([False, True, False, False])
    curve = shrink_and_train(
        student_of(settings), lambda step: None, num_updates_before=0, num_updates=[1, 1], optimization=settings["optimization"],
        seed=1, is_ready=lambda curve: next(answers), max_rounds=2,
    )  # fmt: skip
    assert [row["update"] for row in curve if row["measure"] == "loss_after_shrinking"] == [0, 2] and curve[-1]["update"] == 4
    assert list(answers) == []


@pytest.mark.parametrize("name", ["melhubert", "hubert"])
def test_the_same_seed_gives_the_same_tensors_and_curve(lineage, name):
    found = []
    for child in ("one", "two"):
        settings, *_ = lineage(name, child)
        prune_rows(**settings, rows_per_layer=4, num_updates_before=0, num_updates=[2])
        found.append((load_tensors(settings["model"]), tables.read(settings["training"], TRAINING).drop_columns("seconds")))
    (one, first), (two, second) = found
    assert set(one) == set(two) and all(torch.equal(tensor, two[key]) for key, tensor in one.items()) and first.equals(second)


def test_pseudo_labels_are_those_of_the_parents_heads(lineage):
    settings, *_ = lineage("melhubert")
    with pytest.raises(
        ValueError, match=r"expected targets with \[5\] clusters, got \[7\]; name the parent's targets in config/enc"
    ):
        student_of(settings | dict(num_targets=[7]))


@pytest.mark.parametrize("name", ["melhubert", "wavlm"])
def test_an_encoder_that_was_made_can_be_a_parent(lineage, name):
    settings, load, _ = lineage(name)
    prune_heads(**settings, criterion="l1", heads_per_layer=1, scored_fraction=1.0, num_updates_before=0, num_updates=[1])
    heads = [sizes["heads"] for sizes in layer_sizes(load())]
    again = settings | {key: settings[key.removeprefix("parent_")] for key in ("parent_model", "parent_config")}
    folder = settings["model"].parent / "grandchild"
    folder.mkdir()
    files = {key: folder / settings[key].name for key in ("model", "config", "training")}
    factorize_layers(**again | files, criterion="rank", amount=4, num_updates=1)
    made = layer_sizes(load("child/grandchild"))
    assert [sizes["heads"] for sizes in made] == heads and all(set(sizes["ranks"].values()) == {4} for sizes in made)
