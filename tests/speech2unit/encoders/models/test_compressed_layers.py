"""What is removed from a block is gone from its matrices, and what is left computes what it computed before."""

import torch
from torch import nn

from speech2unit.encoders.models.compressed_layers import (
    FactorizedLinear,
    factorize,
    keep_heads,
    keep_rows,
    layer_sizes,
    resize,
)
from speech2unit.encoders.models.melhubert import MelHuBERTModel


@torch.no_grad()
def outputs(model, padding=0.0):
    """Return the last hidden states of a batch of two rows, 7 and 4 frames long."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, MelHuBERTModel):
        frames = torch.randn(2, 7, 80, generator=generator)
        frames[1, 4:] = padding
        states = model.hidden_states(frames, torch.tensor([7, 4]))[-1]
    else:
        states = model.hidden_state([torch.randn(n, 16, generator=generator) for n in (7, 4)], 2)
    return torch.cat([states[0], states[1, :4]])


def count_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_heads_that_nothing_reads_can_be_removed(transformer):
    model = transformer()
    first, second = model.blocks
    with torch.no_grad():
        first.output_projection.weight.view(16, 4, 4)[:, [1]] = 0
        second.output_projection.weight.view(16, 4, 4)[:, [0, 3]] = 0
    expected = outputs(model)
    keep_heads(first, [0, 2, 3])
    keep_heads(second, [1, 2])
    torch.testing.assert_close(outputs(model), expected)
    assert first.head_numbers == [0, 2, 3]
    assert second.head_numbers == [1, 2]


def test_heads_are_kept_by_their_positions_among_those_that_are_left(transformer):
    block = transformer().blocks[0]
    keep_heads(block, [0, 2, 3])
    keep_heads(block, [1, 2])
    assert block.head_numbers == [2, 3]
    assert block.num_heads == 2


def test_a_head_is_removed_from_every_matrix(transformer):
    block = transformer().blocks[0]
    before = count_parameters(block)
    keep_heads(block, [0, 1])
    gates = 2 if getattr(block, "gate", None) else 0
    assert before - count_parameters(block) == 2 * (4 * 4 * 16 + 3 * 4) + gates


def test_rows_that_nothing_reads_can_be_removed(transformer):
    model = transformer()
    block = model.blocks[1]
    kept = torch.tensor([0, 3, 5, 20])
    with torch.no_grad():
        block.fc2.weight[:, [i for i in range(24) if i not in kept]] = 0
    expected, before = outputs(model), count_parameters(block)
    keep_rows(block, kept)
    torch.testing.assert_close(outputs(model), expected)
    assert before - count_parameters(block) == 20 * (16 + 1 + 16)


def test_a_factorisation_of_full_rank_computes_the_same(transformer):
    model = transformer()
    expected = outputs(model)
    for block in model.blocks:
        for name in block.matrices:
            factorize(block, name, 16)
    torch.testing.assert_close(outputs(model), expected, atol=1e-4, rtol=1e-4)


def test_a_factorisation_is_the_nearest_matrix_of_its_rank(melhubert):
    block = melhubert.blocks[0]
    weight, bias = block.fc1.weight.detach().clone(), block.fc1.bias.detach().clone()
    factorize(block, "fc1", 5)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    product = block.fc1.up.weight @ block.fc1.down.weight
    torch.testing.assert_close(product, left[:, :5] * values[:5] @ right[:5])
    torch.testing.assert_close((weight - product).norm(), values[5:].norm())
    assert torch.equal(block.fc1.up.bias, bias) and block.fc1.down.bias is None
    assert count_parameters(block.fc1) == 5 * (16 + 24) + 24


def test_a_model_is_resized_to_saved_sizes(transformer):
    model = transformer()
    first, second = model.blocks
    assert layer_sizes(model) == 2 * [dict(heads=[0, 1, 2, 3], ffn_dim=24, ranks={})]
    name = next(iter(first.matrices))
    factorize(first, name, 3)
    factorize(first, "fc2", 2)
    keep_heads(first, [1, 3])  # also of factorised matrices
    keep_rows(first, torch.arange(10))
    keep_heads(second, [2])
    sizes = layer_sizes(model)
    assert sizes[0] == dict(heads=[1, 3], ffn_dim=10, ranks={name: 3, "fc2": 2})
    assert sizes[1]["heads"] == [2]
    with torch.device("meta"):
        resized = resize(transformer(), sizes)
    resized.load_state_dict(model.state_dict(), assign=True)
    assert layer_sizes(resized) == sizes
    torch.testing.assert_close(outputs(resized.eval()), outputs(model))


def test_padding_does_not_change_a_pruned_model(melhubert):
    keep_heads(melhubert.blocks[0], [2])
    torch.testing.assert_close(outputs(melhubert, padding=100.0), outputs(melhubert))


def test_a_factorised_matrix_can_be_followed_by_gelu():
    layer, x = FactorizedLinear(6, 2, 5), torch.randn(3, 6)
    torch.testing.assert_close(layer(x, gelu=True), nn.functional.gelu(layer(x)))
