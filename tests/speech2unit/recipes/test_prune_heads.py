"""Head pruning: scores of heads, which heads are kept, and what the stage writes."""

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


def test_the_norm_of_a_head_covers_its_queries_keys_and_values(transformer):
    block = transformer().blocks[0]
    layers = block.qkv_projections
    with torch.no_grad():
        for layer in layers:
            layer.weight.view(-1, 4, 4, 16)[:, 2] = 0
            layer.bias.view(-1, 4, 4)[:, 2] = -0.5
    norms = head_norms(block)
    expected_sum = sum(layer.weight.abs().sum() + layer.bias.abs().sum() for layer in layers)
    assert norms.shape == (4,)
    assert norms[2] == 3 * 4 * 0.5
    assert norms.argmin() == 2
    torch.testing.assert_close(norms.sum(), expected_sum.detach())


def test_the_highest_heads_of_each_block_are_kept():
    assert keep_highest_per_block(SCORES, 2) == [[0, 2], [0, 3]]


@pytest.mark.parametrize("num_removed, kept", [(3, [[0, 1, 2, 3], [0]]), (4, [[0, 2, 3], [0]])])
def test_the_highest_heads_of_all_blocks_are_kept(num_removed, kept):
    assert keep_highest_overall(SCORES, num_removed) == kept


def test_a_block_keeps_its_highest_head_even_if_other_blocks_have_higher_ones():
    scores = [torch.tensor([0.5, 0.4]), torch.tensor([0.02, 0.01])]
    assert keep_highest_overall(scores, 2) == [[0], [0]]


def make_batches(lengths, batch_size):
    """Yield batches of examples in which every frame is masked, so that the batch size does not change the masks."""
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    examples = []
    for length in lengths:
        frames = torch.randn(length, 80, generator=generator)
        examples.append((frames, torch.randint(5, (length, 1), generator=generator)))
    for start in range(0, len(examples), batch_size):
        frames, batch_lengths, targets, _ = collate(examples[start : start + batch_size], NO_MASK, rng)
        yield frames, batch_lengths, targets, torch.arange(frames.shape[1])[None] < batch_lengths[:, None]


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_importance_of_heads_does_not_depend_on_the_batch_size(melhubert, batch_size):
    def importance(batch_size):
        batches = make_batches([9, 4, 7, 6, 5], batch_size)
        return head_importance(melhubert, lambda batch: masked_loss(melhubert, batch, 0), batches)

    scores = importance(5)
    torch.testing.assert_close(importance(batch_size), scores)
    assert all(block_scores.norm() == pytest.approx(1) for block_scores in scores)


def test_the_importance_of_a_head_is_its_output_times_the_gradient_of_the_loss(melhubert):
    block = melhubert.blocks[0]
    with torch.no_grad():
        block.output_projection.weight.view(16, 4, 4)[:, 1] = 0  # the output of head 1 is not used
    (batch,) = make_batches([6], 1)
    scores = head_importance(melhubert, lambda batch: masked_loss(melhubert, batch, 0), [batch])
    assert scores[0][1] == 0
    assert (scores[1] > 0).all()
    outputs = []
    block.output_projection.register_forward_pre_hook(lambda _, inputs: outputs.append(inputs[0]))
    loss, _ = masked_loss(melhubert, batch, 0)
    (gradient,) = torch.autograd.grad(loss, outputs)
    expected = (gradient * outputs[0]).view(6, 4, 4).sum(-1).abs().sum(0).double()
    torch.testing.assert_close(scores[0], (expected / expected.norm()).detach())


@pytest.mark.parametrize("criterion", ["l1", "data_driven"])
def test_the_last_head_of_a_block_is_not_removed(melhubert, criterion):
    student = SimpleNamespace(model=melhubert, objective=None)
    message = (
        r"each block keeps at least one head; expected fewer heads to remove than the blocks have: \[4, 4\], "
        "got 4 per block"
    )
    with pytest.raises(ValueError, match=message):
        choose_heads(student, criterion, 4, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "transformer, criterion",
    [
        ("melhubert", "l1"),
        ("melhubert", "data_driven"),
        ("hubert", "data_driven"),
        ("wavlm", "l1"),
        ("whisper", "l1"),
        ("whisper", "data_driven"),
    ],
)
def test_the_stage_writes_an_encoder_with_half_the_heads(prepare_stage, transformer, criterion):
    arguments, load_model, parent = prepare_stage(transformer)
    prune_heads(
        **arguments,
        criterion=criterion,
        heads_per_layer=1,
        scored_fraction=1.0,
        num_updates_before=2,
        num_updates=[0, 2],
    )
    child = load_model("child")
    num_heads = [len(block.head_numbers) for block in child.blocks]
    assert sum(num_heads) == 4
    assert all(num_heads)
    if criterion == "l1":
        assert num_heads == [2, 2]
    parameters_per_head = 4 * 4 * 16 + 3 * 4
    gates = 4 if transformer == "wavlm" else 0
    num_removed = sum(p.numel() for p in parent.parameters()) - sum(p.numel() for p in child.parameters())
    assert num_removed == 4 * parameters_per_head + gates
