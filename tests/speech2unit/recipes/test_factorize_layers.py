"""Low-rank factorization: which ranks a rank, an energy or a number of parameters leads to."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import FactorizedLinear, factorize, layer_sizes
from speech2unit.recipes.factorize_layers import choose_ranks, factorize_layers, rank_for_energy


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def factorize_model(model, criterion, amount):
    for (number, name), rank in choose_ranks(model, criterion, amount).items():
        factorize(model.blocks[number], name, rank)


@pytest.mark.parametrize(
    "energy, rank", [(0.0, 1), (9 / 14, 1), (0.65, 2), (13 / 14, 2), (0.94, 3), (1.0, 3)]
)  # fractions of 14 = 9 + 4 + 1
def test_the_rank_of_an_energy_is_the_lowest_that_keeps_it(energy, rank):
    assert rank_for_energy(torch.tensor([3.0, 2.0, 1.0, 0.0]), energy) == rank


def test_matrices_that_would_not_shrink_are_left_out(transformer):
    model = transformer()
    assert choose_ranks(model, "rank", 16) == {}
    assert choose_ranks(model, "energy", 1.0) == {}
    wide_matrices = {(number, name) for number in (0, 1) for name in ("fc1", "fc2", "first_fc1", "first_fc2", "qkv")}
    assert set(choose_ranks(model, "rank", 9)) <= wide_matrices
    assert len(choose_ranks(model, "rank", 2)) == sum(len(block.matrices) for block in model.blocks)


@pytest.mark.parametrize("fraction", [0.5, 0.7, 0.9])
def test_the_number_of_parameters_is_just_below_the_fraction(transformer, fraction):
    model = transformer()
    num_in_blocks = sum(num_parameters(block) for block in model.blocks)
    max_parameters = num_parameters(model) - (1 - fraction) * num_in_blocks
    factorize_model(model, "parameters", max_parameters / num_parameters(model))
    assert max_parameters - 6 * 64 < num_parameters(model) <= max_parameters


def test_a_fraction_that_is_too_small_is_refused(melhubert):
    message = "the fraction of parameters must be within reach; .* got 0.01; raise 'amount' in the preset"
    with pytest.raises(ValueError, match=message):
        choose_ranks(melhubert, "parameters", 0.01)


def test_a_factorized_matrix_is_not_factorized_again(melhubert):
    factorize_model(melhubert, "rank", 3)
    assert choose_ranks(melhubert, "rank", 2) == {}


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "hubert", "whisper"])
def test_the_stage_writes_factorized_matrices(prepare_stage, transformer):
    arguments, load_model, parent = prepare_stage(transformer)
    factorize_layers(**arguments, criterion="rank", amount=4, num_updates=2)
    child = load_model("child")
    assert num_parameters(child) < num_parameters(parent)
    assert all(set(sizes["ranks"].values()) == {4} for sizes in layer_sizes(child))
    assert all(isinstance(layer, FactorizedLinear) for block in child.blocks for layer in block.matrices.values())
