"""Head pruning: the attention heads that matter least are cut out of the matrices, and what is left trains on.

**Source:** arXiv 2211.09949; the data-driven score is that of Michel et al., arXiv 1905.10650, eq. 2.
"""

import torch

from speech2unit.encoders.models.compressed_layers import keep_heads
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


@torch.no_grad()
def head_norms(block):
    """Sum of the absolute weights and biases that yield each head's queries, keys and values, `[H]`."""
    total = 0
    for projection in block.qkv_projections:
        sums = projection.weight.abs().sum(1) + projection.bias.abs()
        total = total + sums[block.head_outputs(projection)].sum((0, 2))
    return total


def head_importance(model, loss, batches):
    """Per block `[H]`: sum over all frames of |gradient of the loss · output of the head|, of norm 1 within the block.

    loss: batch → (sum of losses, number of targets). As losses are summed, how frames share batches does not matter.
    """
    blocks, outputs, device = model.blocks, {}, next(model.parameters()).device
    hooks = [
        block.output_projection.register_forward_pre_hook(lambda _, inputs, i=i: outputs.update({i: inputs[0]}))
        for i, block in enumerate(blocks)
    ]
    found = [torch.zeros(block.num_heads, dtype=torch.float64, device=device) for block in blocks]
    model.eval()
    for batch in batches:
        total, _ = loss(batch)
        gradients = torch.autograd.grad(total, [outputs[i] for i in range(len(blocks))])
        for i, gradient in enumerate(gradients):
            products = (gradient * outputs[i].detach()).unflatten(-1, (len(found[i]), -1)).sum(-1)
            found[i] += products.abs().double().sum((0, 1))
    for hook in hooks:
        hook.remove()
    return [score / score.norm().clamp_min(1e-30) for score in found]


def lowest_of_each(scores, number):
    """Positions of the heads to keep in each block: all but the `number` lowest of it."""
    return [sorted(score.argsort(stable=True)[number:].tolist()) for score in scores]


def lowest_of_all(scores, number):
    """Positions of the heads to keep in each block: all but the `number` lowest of all blocks; each block keeps its best."""
    protected = [score.clone().index_fill_(0, score.argmax(), float("inf")) for score in scores]
    threshold = torch.cat(protected).argsort(stable=True)[:number].tolist()
    kept, start = [], 0
    for score in scores:
        kept.append([i for i in range(len(score)) if start + i not in threshold])
        start += len(score)
    return kept


def heads_to_keep(student, criterion, heads_per_layer, scored_fraction):
    """Positions of the heads that stay in each block. Raises `ValueError` where a block would lose its last one."""
    blocks = student.model.blocks
    number, total = heads_per_layer * len(blocks), sum(block.num_heads for block in blocks)
    if number > total - len(blocks) or (criterion == "l1" and min(block.num_heads for block in blocks) <= heads_per_layer):
        raise data_error(
            "head pruning",
            "each block keeps a head",
            expected=f"fewer than {[block.num_heads for block in blocks]} heads to go",
            got=f"{heads_per_layer} a layer",
            remedy="take fewer steps (num_updates) or a smaller heads_per_layer in config/config.yaml",
        )
    if criterion == "l1":
        return lowest_of_each([head_norms(block) for block in blocks], heads_per_layer)
    scores = head_importance(student.model, student.objective.loss, student.objective.subset_batches(scored_fraction))
    return lowest_of_all(scores, number)


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
    """Stage: a step for each of `num_updates`; a step takes `heads_per_layer` heads of each layer (criterion `l1`, the smallest
    matrices), or as many of all layers together (`data_driven`, on `scored_fraction` of the training utterances).
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )

    def shrink(step):
        kept = heads_to_keep(student, criterion, heads_per_layer, scored_fraction)
        for block, positions in zip(student.model.blocks, kept):
            keep_heads(block, positions)

    curve = shrink_and_train(
        student, shrink, num_updates_before=num_updates_before, num_updates=num_updates, optimization=optimization, seed=seed
    )
    save_student(student, curve, model=model, config=config, training=training)
