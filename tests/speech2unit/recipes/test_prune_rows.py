"""Row pruning: the rows of the smallest norm go, from both matrices."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.recipes.prune_rows import prune_rows, remove_rows, row_norms
from storage import tables
from storage.schemas import TRAINING


def test_the_norm_of_a_row_is_that_of_what_yields_and_of_what_reads_it(transformer):
    block = transformer().blocks[0]
    i = 5
    expected = block.fc1.weight[i].abs().sum() + block.fc1.bias[i].abs() + block.fc2.weight[:, i].abs().sum()
    torch.testing.assert_close(row_norms(block)[i], expected.detach())


def test_the_lowest_rows_of_each_block_go(melhubert):
    norms = [row_norms(block) for block in melhubert.blocks]
    weights = [block.fc1.weight.detach().clone() for block in melhubert.blocks]
    remove_rows(melhubert, 10)
    for block, norm, weight in zip(melhubert.blocks, norms, weights):
        assert torch.equal(block.fc1.weight, weight[norm >= norm.sort().values[10]])
    with pytest.raises(
        ValueError, match="each feed-forward layer keeps at least one row; expected fewer than 14 rows to remove, got 14"
    ):
        remove_rows(melhubert, 14)


@pytest.mark.parametrize("name", ["melhubert", "large"])
def test_half_the_rows_are_gone_from_the_files(lineage, name):
    settings, load, parent = lineage(name)
    prune_rows(**settings, rows_per_layer=4, num_updates_before=1, num_updates=[1, 0, 2])
    child = load()
    assert [sizes["ffn_dim"] for sizes in layer_sizes(child)] == [12, 12]
    assert sum(p.numel() for p in parent.parameters()) - sum(p.numel() for p in child.parameters()) == 2 * 12 * (16 + 1 + 16)
    curve = tables.read(settings["training"], TRAINING).to_pylist()
    found = [(row["update"], row["measure"]) for row in curve if row["split"] == "dev"]
    assert found == [
        (0, "loss"),
        (1, "loss"),
        (1, "loss_after_shrinking"),
        (2, "loss"),
        (2, "loss_after_shrinking"),
        (3, "loss"),
        (4, "loss"),
    ]
