"""Row pruning: the rows of the feed-forward parts that matter least are cut out of their matrices, and what is left trains on.

**Source:** arXiv 2211.09949.
"""

import torch

from speech2unit.encoders.models.compressed_layers import keep_rows, layer_sizes
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


@torch.no_grad()
def row_norms(block):
    """Sum of the absolute weights and bias that yield each row, and of those that read it, `[F]`."""
    return block.fc1.weight.abs().sum(1) + block.fc1.bias.abs() + block.fc2.weight.abs().sum(0)


def remove_rows(model, number):
    """Cut the `number` lowest rows of each block. Raises `ValueError` where none would be left."""
    for block, sizes in zip(model.blocks, layer_sizes(model)):
        if number >= sizes["ffn_dim"]:
            raise data_error(
                "row pruning",
                "each feed-forward part keeps a row",
                expected=f"fewer than {sizes['ffn_dim']} to go",
                got=f"{number}",
                remedy="take fewer steps (num_updates) or a smaller rows_per_layer in config/config.yaml",
            )
        keep_rows(block, row_norms(block).argsort(stable=True)[number:].sort().values)


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
    """Stage: a step for each of `num_updates`, in which every block loses `rows_per_layer` rows."""
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
