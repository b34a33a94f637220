"""Low-rank factorisation: the matrices of the blocks become products of two smaller ones, which train on.

A truncated singular value decomposition is the nearest matrix of its rank (Eckart and Young, 1936). A matrix that would not
become smaller stays whole.
"""

import torch

from speech2unit.encoders.models.compressed_layers import FactorizedLinear, factorize
from speech2unit.recipes.compress_encoder import load_student, save_student, shrink_and_train
from storage.errors import data_error


def spectra_of(model):
    """(block, name) → singular values, the largest first, of every matrix that is still whole."""
    return {
        (i, name): torch.linalg.svdvals(layer.weight.detach())
        for i, block in enumerate(model.blocks)
        for name, layer in block.matrices.items()
        if not isinstance(layer, FactorizedLinear)
    }


def rank_for_energy(values, energy):
    """Smallest rank whose singular values have this fraction of the sum of all squares."""
    shares = values.double().square().cumsum(0)
    return min(int((shares < energy * shares[-1]).sum()) + 1, len(values))


def saved(model, ranks):
    """Parameters that these ranks save, by (block, name); only where they save any."""
    blocks, found = model.blocks, {}
    for (i, name), rank in ranks.items():
        rows, columns = getattr(blocks[i], name).weight.shape
        if rank * (rows + columns) < rows * columns:
            found[i, name] = rows * columns - rank * (rows + columns)
    return found


def ranks_for(model, criterion, amount):
    """(block, name) → rank of every matrix that becomes a product. `amount` is, by `criterion`,

    `rank`: the rank, the same everywhere; `energy`: the fraction of each matrix' squares that is kept; `parameters`: the
    fraction of the model's parameters that are left at most, at the same energy everywhere. Raises `ValueError` where even
    rank 1 leaves more.
    """
    spectra = spectra_of(model)
    if criterion == "rank":
        ranks = {key: min(int(amount), len(values)) for key, values in spectra.items()}
    else:
        energy = amount if criterion == "energy" else _energy_for(model, spectra, amount)
        ranks = {key: rank_for_energy(values, energy) for key, values in spectra.items()}
    return {key: ranks[key] for key in saved(model, ranks)}


def _energy_for(model, spectra, fraction):
    """Largest energy, by bisection, at which the model has no more than `fraction` of its parameters."""
    total = sum(p.numel() for p in model.parameters())
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        ranks = {key: rank_for_energy(values, middle) for key, values in spectra.items()}
        low, high = (middle, high) if total - sum(saved(model, ranks).values()) <= fraction * total else (low, middle)
    if low == 0:
        raise data_error(
            "factorisation",
            "the matrices of the blocks can be made small enough",
            expected="a fraction that rank 1 does not exceed",
            got=f"{fraction}",
            remedy="raise 'amount' in config/config.yaml",
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
    """Stage: factorise once (`criterion` and `amount`: see `ranks_for`), then train on."""
    torch.manual_seed(seed)
    student = load_student(
        parent_model, parent_config, manifests, roots, targets, num_targets, dropout=dropout, data=data, seed=seed
    )

    def shrink(step):
        for (i, name), rank in ranks_for(student.model, criterion, amount).items():
            factorize(student.model.blocks[i], name, rank)

    curve = shrink_and_train(
        student, shrink, num_updates_before=0, num_updates=[num_updates], optimization=optimization, seed=seed
    )
    save_student(student, curve, model=model, config=config, training=training)
