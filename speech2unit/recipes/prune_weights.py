"""Weight pruning: the smallest weights of all blocks become 0, more of them at every step, and the others train on.

**Source:** arXiv 2211.09949 (global, unstructured, by magnitude; the sparsities; the criterion of convergence). Biases are kept.
"""

import torch
from torch import nn
from torch.nn.utils import parametrize

from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train


class Masked(nn.Module):
    """Parametrization: a weight whose masked elements are 0, whatever training makes of them."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        """`[D_out, D_in]` → the same with zeros."""
        return weight * self.mask


def prunable(model):
    """Name → linear layer of everything that is pruned: the matrices of all blocks, both halves of low-rank ones."""
    found = {id(part) for block in model.blocks for layer in block.matrices.values() for part in layer.modules()}
    return {name: module for name, module in model.named_modules() if id(module) in found and isinstance(module, nn.Linear)}


def prune_to(model, sparsity):
    """Mask this fraction of all weights together, the smallest; those that are masked are 0 and stay masked."""
    layers = prunable(model).values()
    sizes = torch.cat([layer.weight.detach().abs().flatten() for layer in layers])
    mask = torch.ones_like(sizes)
    mask[sizes.argsort(stable=True)[: round(sparsity * len(sizes))]] = 0
    for layer, part in zip(layers, mask.split([layer.weight.numel() for layer in layers])):
        if not parametrize.is_parametrized(layer, "weight"):
            parametrize.register_parametrization(layer, "weight", Masked(torch.ones_like(layer.weight)))
        layer.parametrizations.weight[0].mask.copy_(part.view_as(layer.weight))


def make_permanent(model):
    """Weights with their zeros in them instead of masks; returns the names of these tensors."""
    for layer in prunable(model).values():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    return [f"{name}.weight" for name in prunable(model)]


def has_converged(curve, *, smoothing, window_updates, max_fall_nats):
    """Whether the smoothed training loss fell by no more than `max_fall_nats` in the last `window_updates` of `curve`.

    The moving average forgets by `smoothing` an update; a row of the curve stands for the updates since the row before.
    """
    average, update, history = None, 0, []
    for row in curve:
        if (row["split"], row["measure"]) == ("train", "loss"):
            kept = smoothing ** (row["update"] - update)
            average, update = row["value"] if average is None else kept * average + (1 - kept) * row["value"], row["update"]
            history.append((update, average))
    earlier = [value for number, value in history if number <= update - window_updates]
    return bool(earlier) and earlier[-1] - average <= max_fall_nats


def prune_weights(
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
    sparsities,
    convergence,
    max_rounds,
    num_updates_before,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: a step for each of `sparsities` (fractions of all prunable weights), `num_updates` behind each, and as often
    again, `max_rounds` times at most, as the `gate` (see `has_converged`) is shut. Pruned tensors are stored sparse.
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )
    curve = shrink_and_train(
        student,
        lambda step: prune_to(student.model, sparsities[step]),
        num_updates_before=num_updates_before,
        num_updates=[num_updates] * len(sparsities),
        optimization=optimization,
        seed=seed,
        max_rounds=max_rounds,
        ready=lambda curve: has_converged(curve, **convergence),
    )
    save_student(student, curve, model=model, config=config, training=training, sparse=make_permanent(student.model))
