"""Row pruning: remove the least important feed-forward rows (hidden units) step by step, and train after each step.

**Source:** arXiv 2211.09949.
"""

import torch

from speech2unit.encoders.models.compressed_layers import keep_rows
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


@torch.no_grad()
def row_norms(block):
    """Return the L1 norm of each feed-forward row of a block, `[F]`: its input weights, its bias and its output weights."""
    return block.fc1.weight.abs().sum(1) + block.fc1.bias.abs() + block.fc2.weight.abs().sum(0)


def remove_rows(model, num_removed):
    """Remove the feed-forward rows with the smallest norms from each block.

    Args:
        model: a model with `blocks`.
        num_removed: number of rows to remove per block.

    Raises:
        ValueError: if a block would lose its last row.
    """
    for block in model.blocks:
        num_rows = block.fc2.in_features
        if num_removed >= num_rows:
            raise data_error(
                "row pruning",
                "each feed-forward layer keeps at least one row",
                expected=f"fewer than {num_rows} rows to remove",
                got=f"{num_removed}",
                remedy="take fewer steps (num_updates) or lower rows_per_layer in the preset of prune_rows",
            )
        keep_rows(block, row_norms(block).argsort(stable=True)[num_removed:].sort().values)


def prune_rows(
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
    rows_per_layer,
    num_updates_before,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: in each step, remove `rows_per_layer` feed-forward rows from every block, and train.

    Args:
        rows_per_layer: number of rows that each feed-forward layer loses in each step (not the number that is left).

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )
    curve = shrink_and_train(
        student,
        lambda step: remove_rows(student.model, rows_per_layer),
        num_updates_before=num_updates_before,
        num_updates=num_updates,
        optimization=optimization,
        seed=seed,
    )
    save_student(student, curve, model=model, config=config, training=training)
