"""The shared interface of transformer blocks, for separate and for joint projections to queries, keys and values."""

import torch

from speech2unit.encoders.models.compressed_layers import factorize, keep_heads


def test_queries_keys_and_values_are_slices_of_the_projections(transformer):
    block = transformer().blocks[0]
    x = torch.randn(5, 16)
    computed = torch.cat([projection(x) for projection in block.qkv_projections], -1)
    slices = [projection(x)[:, outputs] for projection, outputs in block.qkv_outputs()]
    assert [part.shape for part in slices] == [(5, 16)] * 3
    assert torch.equal(torch.cat(slices, -1), computed)


def test_outputs_of_a_head_are_neighbours_in_each_part(transformer):
    block = transformer().blocks[0]
    for projection in block.qkv_projections:
        positions = block.head_outputs(projection)
        assert positions.shape == (3 // len(block.QKV), 4, 4)
        assert torch.equal(positions.flatten(), torch.arange(projection.out_features))


def test_matrices_are_all_linear_layers_of_the_block(transformer):
    block = transformer().blocks[0]
    others = ("gate", "conv.")  # WavLM's gate, and the convolution of a conformer
    layers = {name for name, module in block.named_modules() if isinstance(module, torch.nn.Linear)}
    assert block.matrices.keys() == {name for name in layers if not name.startswith(others)}
    assert all(layer is getattr(block, name) for name, layer in block.matrices.items())
    assert block.output_projection is block.matrices[block.OUTPUT]


def test_pruned_and_factorised_blocks_have_the_same_interface(transformer):
    block = transformer().blocks[0]
    for name in block.matrices:
        factorize(block, name, 3)
    keep_heads(block, [1, 2])
    assert block.head_numbers == [1, 2]
    assert [outputs.stop - outputs.start for _, outputs in block.qkv_outputs()] == [8, 8, 8]
    assert all(layer(torch.randn(5, layer.in_features)).shape == (5, layer.out_features) for layer in block.matrices.values())
    weight, bias = block.output_projection.weight, block.output_projection.bias
    x = torch.randn(5, 8)
    torch.testing.assert_close(block.output_projection(x), x @ weight.T + bias)
