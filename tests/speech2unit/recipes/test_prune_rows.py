"""Row pruning: the rows with the smallest norms are removed from both matrices."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.recipes.prune_rows import prune_rows, remove_rows, row_norms
from storage import tables
from storage.schemas import TRAINING


def num_parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_norm_of_a_row_covers_its_inputs_its_bias_and_its_outputs(transformer):
    block = transformer().blocks[0]
    row = 5
    expected = block.fc1.weight[row].abs().sum() + block.fc1.bias[row].abs() + block.fc2.weight[:, row].abs().sum()
    torch.testing.assert_close(row_norms(block)[row], expected.detach())


def test_the_rows_with_the_smallest_norms_are_removed(melhubert):
    norms = [row_norms(block) for block in melhubert.blocks]
    weights = [block.fc1.weight.detach().clone() for block in melhubert.blocks]
    remove_rows(melhubert, 10)
    for block, norm, weight in zip(melhubert.blocks, norms, weights):
        assert torch.equal(block.fc1.weight, weight[norm >= norm.sort().values[10]])


def test_the_last_row_is_not_removed(melhubert):
    message = "each feed-forward layer keeps at least one row; expected fewer than 24 rows to remove, got 24"
    with pytest.raises(ValueError, match=message):
        remove_rows(melhubert, 24)


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "large", "whisper"])
def test_the_stage_writes_an_encoder_with_half_the_rows(prepare_stage, transformer):
    arguments, load_model, parent = prepare_stage(transformer)
    prune_rows(**arguments, rows_per_layer=4, num_updates_before=1, num_updates=[1, 0, 2])
    child = load_model("child")
    assert [sizes["ffn_dim"] for sizes in layer_sizes(child)] == [12, 12]
    assert num_parameters(parent) - num_parameters(child) == 2 * 12 * (16 + 1 + 16)
    curve = tables.read(arguments["training"], TRAINING).to_pylist()
    assert [(row["update"], row["measure"]) for row in curve if row["split"] == "dev"] == [
        (0, "loss"),
        (1, "loss"),
        (1, "loss_after_shrinking"),
        (2, "loss"),
        (2, "loss_after_shrinking"),
        (3, "loss"),
        (4, "loss"),
    ]
