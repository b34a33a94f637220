"""Low-rank factorisation: ranks for a rank, an energy or a number of parameters."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import FactorizedLinear, factorize, layer_sizes
from speech2unit.recipes.factorize_layers import choose_ranks, factorize_layers, rank_for_energy


def size(model):
    return sum(p.numel() for p in model.parameters())


def factorized(model, criterion, amount):
    for (i, name), rank in choose_ranks(model, criterion, amount).items():
        factorize(model.blocks[i], name, rank)
    return model


def test_the_rank_of_an_energy_is_the_smallest_that_has_it():
    values = torch.tensor([3.0, 2.0, 1.0, 0.0])  # squares: 9, 4, 1
    assert [rank_for_energy(values, energy) for energy in (0.0, 9 / 14, 0.65, 13 / 14, 0.94, 1.0)] == [1, 1, 2, 2, 3, 3]


def test_a_matrix_that_would_not_shrink_stays(transformer):
    model = transformer()
    assert choose_ranks(model, "rank", 16) == {} and choose_ranks(model, "energy", 1.0) == {}
    assert set(choose_ranks(model, "rank", 9)) <= {(i, name) for i in (0, 1) for name in ("fc1", "fc2", "qkv")}
    assert len(choose_ranks(model, "rank", 2)) == sum(len(block.matrices) for block in model.blocks)


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.9])
def test_no_more_than_so_many_parameters_are_left_and_nearly_so_many(transformer, fraction):
    model = transformer()
    blocks = sum(p.numel() for block in model.blocks for p in block.parameters())
    wanted = size(model) - (1 - fraction) * blocks
    factorized(model, "parameters", wanted / size(model))
    assert wanted - 6 * 64 < size(model) <= wanted


def test_too_small_a_fraction_is_refused(melhubert):
    with pytest.raises(
        ValueError, match="the fraction of parameters must be within reach; .* got 0.01; raise 'amount' in the preset"
    ):
        choose_ranks(melhubert, "parameters", 0.01)


def test_what_is_a_product_already_stays_one(melhubert):
    factorized(melhubert, "rank", 3)
    assert choose_ranks(melhubert, "rank", 2) == {}


@pytest.mark.parametrize("name", ["melhubert", "hubert"])
def test_products_are_in_the_files_and_load(lineage, name):
    settings, load, parent = lineage(name)
    factorize_layers(**settings, criterion="rank", amount=4, num_updates=2)
    child = load()
    assert size(child) < size(parent) and all(set(sizes["ranks"].values()) == {4} for sizes in layer_sizes(child))
    assert all(isinstance(layer, FactorizedLinear) for block in child.blocks for layer in block.matrices.values())
