"""Weight pruning: set the smallest weights of all blocks to 0, more of them in each step, and train the others after each step.

Biases are never pruned.

**Source:** arXiv 2211.09949: global unstructured pruning by magnitude, its sparsities and its test of convergence.
"""

import torch
from torch import nn
from torch.nn.utils import parametrize

from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train


class Masked(nn.Module):
    """Parametrization of a weight that keeps the masked elements at 0 during training."""

    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        """Return a weight `[D_out, D_in]` with zeros where the mask is 0."""
        return weight * self.mask


def prunable_layers(model):
    """Return a dict from name to linear layer for the matrices of all blocks. A factorized matrix has two linear layers."""
    modules_of_matrices = set()
    for block in model.blocks:
        for matrix in block.matrices.values():
            modules_of_matrices.update(matrix.modules())
    return {
        name: module for name, module in model.named_modules() if module in modules_of_matrices and isinstance(module, nn.Linear)
    }


def prune_to(model, sparsity):
    """Mask the smallest weights of all prunable layers together; weights that are masked already stay masked.

    Args:
        model: a model with `blocks`.
        sparsity: fraction of the weights to mask.
    """
    layers = prunable_layers(model).values()
    magnitudes = torch.cat([layer.weight.detach().abs().flatten() for layer in layers])
    mask = torch.ones_like(magnitudes)
    mask[magnitudes.argsort(stable=True)[: round(sparsity * len(magnitudes))]] = 0
    for layer, layer_mask in zip(layers, mask.split([layer.weight.numel() for layer in layers])):
        if not parametrize.is_parametrized(layer, "weight"):
            parametrize.register_parametrization(layer, "weight", Masked(torch.ones_like(layer.weight)))
        layer.parametrizations.weight[0].mask.copy_(layer_mask.view_as(layer.weight))


def make_permanent(model):
    """Replace the masks by zeros in the weights; return the names of these weights in the model's state dict."""
    for layer in prunable_layers(model).values():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
    return [f"{name}.weight" for name in prunable_layers(model)]


def has_converged(curve, *, smoothing, window_updates, max_fall_nats):
    """Return whether the smoothed training loss has almost stopped falling.

    Args:
        curve: rows of `storage.schemas.TRAINING`. Each row of the training loss is the mean since the previous such row.
        smoothing: decay rate per update of the moving average of the training loss, from 0 to 1.
        window_updates: number of updates over which the fall is measured.
        max_fall_nats: largest fall of the average, in nats, that counts as convergence.
    """
    average = None
    last_update = 0
    averages = []
    for row in curve:
        if (row["split"], row["measure"]) == ("train", "loss"):
            weight = smoothing ** (row["update"] - last_update)
            average = row["value"] if average is None else weight * average + (1 - weight) * row["value"]
            last_update = row["update"]
            averages.append((last_update, average))
    before_window = [value for update, value in averages if update <= last_update - window_updates]
    return bool(before_window) and before_window[-1] - average <= max_fall_nats


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
    """Stage: prune the parent to each sparsity in turn; the pruned tensors are stored without their zeros.

    Args:
        sparsities: list with the fraction of the prunable weights that is 0 after each step, from 0 to 1.
        convergence: when the repeated training after a step ends, see `has_converged`:
            smoothing: decay rate per update of the moving average of the training loss, from 0 to 1.
            window_updates: number of updates over which the fall of the average is measured.
            max_fall_nats: largest fall of the average, in nats, that counts as convergence.
        max_rounds: largest number of trainings after a step.
        num_updates: number of updates of one training.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
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
        is_ready=lambda curve: has_converged(curve, **convergence),
        max_rounds=max_rounds,
    )
    sparse_tensors = make_permanent(student.model)
    save_student(student, curve, model=model, config=config, training=training, sparse_tensors=sparse_tensors)
