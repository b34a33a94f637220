"""Layer pruning: keep some of the blocks, and train.

**Source:** Sajjad et al. 2020, arXiv 2004.03844, for dropping the last blocks, the best of the choices compared there.
"""

import torch

from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


def keep_layers(model, kept_layers):
    """Remove the other blocks from a model.

    Args:
        model: a model with `blocks`.
        kept_layers: numbers of the blocks to keep, from 1, ascending.

    Raises:
        ValueError: if the model has no such blocks, or none would be removed.
    """
    num_layers = len(model.blocks)
    if sorted(set(kept_layers)) != kept_layers or kept_layers[-1] > num_layers or len(kept_layers) == num_layers:
        raise data_error(
            "layer pruning",
            "some of the parent's layers are kept",
            expected=f"ascending numbers from 1 to {num_layers}, fewer than {num_layers} of them",
            got=f"{kept_layers}",
            remedy="correct kept_layers in the preset of prune_layers",
        )
    for number in reversed(range(1, num_layers + 1)):
        if number not in kept_layers:
            del model.blocks[number - 1]


def prune_layers(
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
    kept_layers,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: keep some blocks of the parent, and train them.

    An encoder without pseudo-labels learns the hidden states of its parent: each block that is kept learns the parent's layer of
    the same number. With the first layers there is nothing to learn, and `num_updates` may be 0.

    Args:
        kept_layers: numbers of the parent's layers that are kept, from 1.
        num_updates: number of updates after the other layers have been removed.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )
    curve = shrink_and_train(
        student,
        lambda step: keep_layers(student.model, kept_layers),
        num_updates_before=0,
        num_updates=[num_updates],
        optimization=optimization,
        seed=seed,
    )
    student.settings["num_layers"] = len(kept_layers)
    save_student(student, curve, model=model, config=config, training=training)
