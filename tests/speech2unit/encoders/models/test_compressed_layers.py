"""What is cut out of a block is gone from its matrices, and what is left computes what it computed."""

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
    """Last hidden states of two rows, 7 and 4 frames long."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, MelHuBERTModel):
        frames = torch.randn(2, 7, 80, generator=generator)
        frames[1, 4:] = padding
        states = model.hidden_states(frames, torch.tensor([7, 4]))[-1]
    else:
        states = model.hidden_state([torch.randn(n, 16, generator=generator) for n in (7, 4)], 2)
    return torch.cat([states[0], states[1, :4]])


def test_heads_that_put_out_nothing_can_go(transformer):
    model = transformer()
    for block, gone in zip(model.blocks, ([1], [0, 3])):
        reader = block.output_projection
        with torch.no_grad():
            reader.weight.view(16, 4, 4)[:, gone] = 0  # nobody listens to them
    expected = outputs(model)
    keep_heads(model.blocks[0], [0, 2, 3])
    keep_heads(model.blocks[1], [1, 2])
    torch.testing.assert_close(outputs(model), expected)
    assert [block.head_numbers for block in model.blocks] == [[0, 2, 3], [1, 2]]
    keep_heads(model.blocks[0], [1, 2])  # positions among those that are left
    assert model.blocks[0].head_numbers == [2, 3] and model.blocks[0].num_heads == 2


def test_a_head_takes_its_rows_of_every_matrix_along(transformer):
    model = transformer()
    before = sum(p.numel() for p in model.blocks[0].parameters())
    gate = getattr(model.blocks[0], "gate", None)
    keep_heads(model.blocks[0], [0, 1])
    after = sum(p.numel() for p in model.blocks[0].parameters())
    assert before - after == 2 * (4 * 4 * 16 + 3 * 4) + (2 if gate else 0)


def test_rows_that_put_out_nothing_can_go(transformer):
    model = transformer()
    block, kept = model.blocks[1], torch.tensor([0, 3, 5, 20])
    with torch.no_grad():
        block.fc2.weight[:, [i for i in range(24) if i not in kept]] = 0
    expected, before = outputs(model), sum(p.numel() for p in block.parameters())
    keep_rows(block, kept)
    torch.testing.assert_close(outputs(model), expected)
    assert before - sum(p.numel() for p in block.parameters()) == 20 * (16 + 1 + 16)


def test_at_full_rank_a_product_is_the_matrix(transformer):
    model = transformer()
    expected = outputs(model)
    for block in model.blocks:
        for name in block.matrices:
            factorize(block, name, 16)
    torch.testing.assert_close(outputs(model), expected, atol=1e-4, rtol=1e-4)


def test_a_low_rank_is_the_nearest_matrix_of_that_rank(melhubert):
    block = melhubert.blocks[0]
    weight, bias = block.fc1.weight.detach().clone(), block.fc1.bias.detach().clone()
    factorize(block, "fc1", 5)
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    product = block.fc1.up.weight @ block.fc1.down.weight
    torch.testing.assert_close(product, left[:, :5] * values[:5] @ right[:5])
    torch.testing.assert_close((weight - product).norm(), values[5:].norm())
    assert torch.equal(block.fc1.up.bias, bias) and block.fc1.down.bias is None
    assert sum(p.numel() for p in block.fc1.parameters()) == 5 * (16 + 24) + 24


def test_a_whole_model_becomes_what_its_sizes_say(transformer):
    model = transformer()
    assert layer_sizes(model) == 2 * [dict(heads=[0, 1, 2, 3], ffn_dim=24, ranks={})]
    name = next(iter(model.blocks[0].matrices))
    factorize(model.blocks[0], name, 3)
    factorize(model.blocks[0], "fc2", 2)
    keep_heads(model.blocks[0], [1, 3])  # also of matrices that are products
    keep_rows(model.blocks[0], torch.arange(10))
    keep_heads(model.blocks[1], [2])
    sizes = layer_sizes(model)
    assert sizes[0] == dict(heads=[1, 3], ffn_dim=10, ranks={name: 3, "fc2": 2}) and sizes[1]["heads"] == [2]
    with torch.device("meta"):
        other = resize(transformer(), sizes)
    other.load_state_dict(model.state_dict(), assign=True)
    assert layer_sizes(other) == sizes
    torch.testing.assert_close(outputs(other.eval()), outputs(model))


def test_padding_still_changes_nothing(melhubert):
    keep_heads(melhubert.blocks[0], [2])
    torch.testing.assert_close(outputs(melhubert, padding=100.0), outputs(melhubert))


def test_a_product_does_gelu_as_a_matrix_does():
    layer, x = FactorizedLinear(6, 2, 5), torch.randn(3, 6)
    torch.testing.assert_close(layer(x, gelu=True), nn.functional.gelu(layer(x)))
