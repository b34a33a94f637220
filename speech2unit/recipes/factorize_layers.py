"""Low-rank factorization: replace matrices of the blocks by products of two smaller ones, and train the encoder.

The product comes from a truncated singular value decomposition, which is the best approximation of its rank (Eckart and
Young, 1936). A matrix stays as it is if the product would not have fewer parameters.
"""

import torch

from speech2unit.encoders.models.compressed_layers import FactorizedLinear, factorize
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error

BISECTION_STEPS = 40


def singular_values(model):
    """Return the singular values of all matrices that are not factorized yet.

    Args:
        model: a model with `blocks`.

    Returns:
        A dict from (block number, matrix name) to the singular values in descending order.
    """
    values = {}
    for number, block in enumerate(model.blocks):
        for name, layer in block.matrices.items():
            if not isinstance(layer, FactorizedLinear):
                values[number, name] = torch.linalg.svdvals(layer.weight.detach())
    return values


def rank_for_energy(values, energy):
    """Return the lowest rank that keeps a fraction `energy` of the sum of squared singular values `[R]`."""
    kept_energy = values.double().square().cumsum(0)
    return min(int((kept_energy < energy * kept_energy[-1]).sum()) + 1, len(values))


def saved_parameters(model, ranks):
    """Return the number of parameters that the factorization of each matrix saves, without matrices for which it saves none.

    Args:
        model: a model with `blocks`.
        ranks: dict from (block number, matrix name) to the rank of the product.

    Returns:
        A dict from (block number, matrix name) to the number of parameters saved.
    """
    num_saved = {}
    for (number, name), rank in ranks.items():
        rows, columns = model.blocks[number].matrices[name].weight.shape
        if rank * (rows + columns) < rows * columns:
            num_saved[number, name] = rows * columns - rank * (rows + columns)
    return num_saved


def choose_ranks(model, criterion, amount):
    """Return the rank of each matrix to factorize, as a dict from (block number, matrix name) to the rank.

    Args:
        model: a model with `blocks`.
        criterion: what `amount` means. `rank`: the rank of every product, a whole number. `energy`: the fraction of the sum of
            squared singular values that every product keeps, from 0 to 1. `parameters`: the largest fraction of the model's
            parameters that is left, from 0 to 1; every product then keeps the same energy.
        amount: the value of the criterion.

    Raises:
        ValueError: if even products of rank 1 leave more parameters than `amount` allows.
    """
    values = singular_values(model)
    if criterion == "rank":
        ranks = {key: min(int(amount), len(matrix_values)) for key, matrix_values in values.items()}
    else:
        energy = amount if criterion == "energy" else _largest_energy(model, values, amount)
        ranks = {key: rank_for_energy(matrix_values, energy) for key, matrix_values in values.items()}
    return {key: ranks[key] for key in saved_parameters(model, ranks)}


def _largest_energy(model, values, fraction):
    """Return the largest energy with which at most `fraction` of the model's parameters are left, by bisection."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    low = 0.0
    high = 1.0
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        ranks = {key: rank_for_energy(matrix_values, middle) for key, matrix_values in values.items()}
        num_left = num_parameters - sum(saved_parameters(model, ranks).values())
        if num_left <= fraction * num_parameters:
            low = middle
        else:
            high = middle
    if low == 0:
        raise data_error(
            "factorization",
            "the fraction of parameters must be within reach",
            expected="at least the fraction that products of rank 1 leave",
            got=f"{fraction}",
            remedy="raise 'amount' in the preset of factorize_layers",
        )
    return low


def factorize_layers(
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
    amount,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: factorize the matrices of the parent in one step, and train the encoder afterwards.

    Args:
        criterion: `rank`, `energy` or `parameters`: what `amount` means, see `choose_ranks`.
        amount: the value of the criterion.
        num_updates: number of updates after the factorization.

    The other arguments are explained at the top of `speech2unit.recipes.compress_encoder`.
    """
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )

    def shrink(step):
        for (number, name), rank in choose_ranks(student.model, criterion, amount).items():
            factorize(student.model.blocks[number], name, rank)

    curve = shrink_and_train(
        student, shrink, num_updates_before=0, num_updates=[num_updates], optimization=optimization, seed=seed
    )
    save_student(student, curve, model=model, config=config, training=training)
