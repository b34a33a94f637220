"""Head pruning: which heads go, by which score, and what is left in the files."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speech2unit.recipes.masked_frames import collate, masked_loss
from speech2unit.recipes.objectives import NO_MASK
from speech2unit.recipes.prune_heads import (
    choose_heads,
    head_importance,
    head_norms,
    keep_highest_overall,
    keep_highest_per_block,
    prune_heads,
)

SCORES = [torch.tensor([0.5, 0.1, 0.4, 0.2]), torch.tensor([0.9, 0.05, 0.06, 0.07])]


def test_the_norm_of_a_head_is_that_of_its_queries_keys_and_values(transformer):
    block = transformer().blocks[0]
    layers = [block.qkv] if hasattr(block, "qkv") else [block.q_proj, block.k_proj, block.v_proj]
    with torch.no_grad():
        for layer in layers:
            layer.weight.view(-1, 4, 4, 16)[:, 2] = 0
            layer.bias.view(-1, 4, 4)[:, 2] = -0.5
    norms = head_norms(block)
    expected = sum(layer.weight.abs().sum() + layer.bias.abs().sum() for layer in layers)
    assert norms.shape == (4,) and norms[2] == 3 * 4 * 0.5 and norms.argmin() == 2
    torch.testing.assert_close(norms.sum(), expected.detach())


def test_the_lowest_of_each_layer_go():
    assert keep_highest_per_block(SCORES, 2) == [[0, 2], [0, 3]]


def test_the_lowest_of_all_layers_go_but_not_the_last_of_one():
    assert keep_highest_overall(SCORES, 3) == [[0, 1, 2, 3], [0]]
    assert keep_highest_overall(SCORES, 4) == [[0, 2, 3], [0]]
    weak = [torch.tensor([0.5, 0.4]), torch.tensor([0.02, 0.01])]
    assert keep_highest_overall(weak, 2) == [[0], [0]]  # the best of the second layer stays, the worse of the first goes


def batches_of(lengths, size):
    """Batches of which every frame is masked, so that no mask depends on how they are made."""
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    found = [(torch.randn(n, 80, generator=generator), torch.randint(5, (n, 1), generator=generator)) for n in lengths]
    for i in range(0, len(found), size):
        frames, lengths, targets, _ = collate(found[i : i + size], NO_MASK, rng)
        yield frames, lengths, targets, torch.arange(frames.shape[1])[None] < lengths[:, None]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_short_last_batch_counts_as_any_other(melhubert, size):
    def influence(size):
        return head_importance(melhubert, lambda batch: masked_loss(melhubert, batch, 0), batches_of([9, 4, 7, 6, 5], size))

    parts, whole = influence(size), influence(5)
    torch.testing.assert_close(parts, whole)
    assert all(score.norm() == pytest.approx(1) for score in whole)


def test_the_influence_of_a_head_is_what_the_loss_would_feel(melhubert):
    block = melhubert.blocks[0]
    with torch.no_grad():
        block.output_projection.weight.view(16, 4, 4)[:, 1] = 0  # nobody listens to it
    (batch,) = batches_of([6], 1)
    scores = head_importance(melhubert, lambda b: masked_loss(melhubert, b, 0), [batch])
    assert scores[0][1] == 0 and (scores[1] > 0).all()
    seen = []
    block.output_projection.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    loss, _ = masked_loss(melhubert, batch, 0)
    (gradient,) = torch.autograd.grad(loss, seen)
    expected = (gradient * seen[0]).view(6, 4, 4).sum(-1).abs().sum(0).double()
    torch.testing.assert_close(scores[0], (expected / expected.norm()).detach())


@pytest.mark.parametrize("criterion", ["l1", "data_driven"])
def test_the_last_head_of_a_layer_stays(melhubert, criterion):
    student = SimpleNamespace(model=melhubert, objective=None)
    with pytest.raises(
        ValueError,
        match=r"each block keeps at least one head; expected fewer heads to remove than the blocks have: \[4, 4\], got 4 per block",
    ):
        choose_heads(student, criterion, 4, 0.5)


@pytest.mark.parametrize(
    "name, criterion", [("melhubert", "l1"), ("melhubert", "data_driven"), ("hubert", "data_driven"), ("wavlm", "l1")]
)
def test_half_the_heads_are_gone_from_the_files(lineage, name, criterion):
    settings, load, parent = lineage(name)
    found = prune_heads(
        **settings, criterion=criterion, heads_per_layer=1, scored_fraction=1.0, num_updates_before=2, num_updates=[0, 2]
    )
    assert found is None
    child = load()
    kept = [block.head_numbers for block in child.blocks]
    assert sum(map(len, kept)) == 4 and all(kept)
    if criterion == "l1":
        assert [len(heads) for heads in kept] == [2, 2]
    gates = 4 if name == "wavlm" else 0
    gone = sum(p.numel() for p in parent.parameters()) - sum(p.numel() for p in child.parameters())
    assert gone == 4 * (4 * 4 * 16 + 3 * 4) + gates
