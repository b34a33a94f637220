"""Head pruning: remove the least important attention heads step by step, and train after each step.

**Source:** arXiv 2211.09949; the data-driven score is the one of Michel et al., arXiv 1905.10650, eq. 2.
"""

import torch

from speech2unit.encoders.models.compressed_layers import keep_heads
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


@torch.no_grad()
def head_norms(block):
    """Return the L1 norm of the weights and biases that compute queries, keys and values of each head, `[H]`."""
    total = 0
    for projection in block.qkv_projections:
        norms = projection.weight.abs().sum(1) + projection.bias.abs()
        total = total + norms[block.head_outputs(projection)].sum((0, 2))
    return total


def head_importance(model, loss, batches):
    """Return how strongly the loss depends on each head.

    The score of a head is the sum over all frames of |gradient of the loss · output of the head|. Losses are summed, so that
    it does not matter which frames share a batch. (MelHuBERT's authors average the losses of each batch.)

    Args:
        model: a model with `blocks`.
        loss: function that maps a batch to the sum of losses and the number of targets.
        batches: iterable of batches.

    Returns:
        One tensor `[H]` per block, scaled to L2 norm 1.
    """
    device = next(model.parameters()).device
    outputs = {}  # block number → outputs of all heads `[B, T, D]`

    def keep_outputs_of(number):
        return lambda module, inputs: outputs.update({number: inputs[0]})

    hooks = [
        block.output_projection.register_forward_pre_hook(keep_outputs_of(number)) for number, block in enumerate(model.blocks)
    ]
    scores = [torch.zeros(block.num_heads, dtype=torch.float64, device=device) for block in model.blocks]
    model.eval()
    for batch in batches:
        summed_loss, _ = loss(batch)
        gradients = torch.autograd.grad(summed_loss, [outputs[number] for number in range(len(scores))])
        for number, gradient in enumerate(gradients):
            products = (gradient * outputs[number].detach()).unflatten(-1, (len(scores[number]), -1)).sum(-1)
            scores[number] += products.abs().double().sum((0, 1))
    for hook in hooks:
        hook.remove()
    return [score / score.norm().clamp_min(1e-30) for score in scores]


def keep_highest_per_block(scores, num_removed):
    """Return the positions of the heads to keep in each block: all except the `num_removed` heads with the lowest scores.

    Args:
        scores: one tensor `[H]` per block.
        num_removed: number of heads to remove from each block.
    """
    return [sorted(block_scores.argsort(stable=True)[num_removed:].tolist()) for block_scores in scores]


def keep_highest_overall(scores, num_removed):
    """Return the positions of the heads to keep in each block, after the removal of the lowest scores of all blocks together.

    Each block keeps at least the head with its highest score.

    Args:
        scores: one tensor `[H]` per block.
        num_removed: number of heads to remove from all blocks together.
    """
    protected = [block_scores.clone().index_fill_(0, block_scores.argmax(), float("inf")) for block_scores in scores]
    removed = set(torch.cat(protected).argsort(stable=True)[:num_removed].tolist())
    kept = []
    start = 0  # position of the block's first head among the heads of all blocks
    for block_scores in scores:
        kept.append([position for position in range(len(block_scores)) if start + position not in removed])
        start += len(block_scores)
    return kept


def choose_heads(student, criterion, heads_per_layer, scored_fraction):
    """Return the positions of the heads to keep in each block in one step of pruning.

    Args:
        student: a `Student`.
        criterion: `l1`: remove the heads with the lowest `head_norms` from each block. `data_driven`: remove the heads with the
            lowest `head_importance` among all blocks.
        heads_per_layer: number of heads to remove (not to keep). With `l1`, every block loses this number of heads; with
            `data_driven`, all blocks together lose this number times the number of blocks.
        scored_fraction: fraction of the training utterances on which `head_importance` is computed, from 0 to 1.

    Raises:
        ValueError: if a block would lose its last head.
    """
    num_heads = [block.num_heads for block in student.model.blocks]
    num_removed = heads_per_layer * len(num_heads)
    if num_removed > sum(num_heads) - len(num_heads) or (criterion == "l1" and min(num_heads) <= heads_per_layer):
        raise data_error(
            "head pruning",
            "each block keeps at least one head",
            expected=f"fewer heads to remove than the blocks have: {num_heads}",
            got=f"{heads_per_layer} per block",
            remedy="take fewer steps (num_updates) or lower heads_per_layer in the preset of prune_heads",
        )
    if criterion == "l1":
        return keep_highest_per_block([head_norms(block) for block in student.model.blocks], heads_per_layer)
    batches = student.objective.subset_batches(scored_fraction)
    return keep_highest_overall(head_importance(student.model, student.objective.loss, batches), num_removed)


def prune_heads(
    *,
    parent_model,
    parent_config,
    manifests,
    targets,
    model,
    config,
    training,
    roots,
    num_targets,
    criterion,
    heads_per_layer,
    scored_fraction,
    num_updates_before,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: in each step, remove `heads_per_layer` heads from every block, and train.

    Args:
        criterion: which heads are removed, `l1` or `data_driven`, see `choose_heads`.
        heads_per_layer: number of heads that a block loses in each step (with `data_driven`, on average).
        scored_fraction: fraction of the training utterances on which `data_driven` scores the heads, from 0 to 1.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )

    def shrink(step):
        kept = choose_heads(student, criterion, heads_per_layer, scored_fraction)
        for block, positions in zip(student.model.blocks, kept):
            keep_heads(block, positions)

    curve = shrink_and_train(
        student, shrink, num_updates_before=num_updates_before, num_updates=num_updates, optimization=optimization, seed=seed
    )
    save_student(student, curve, model=model, config=config, training=training)
