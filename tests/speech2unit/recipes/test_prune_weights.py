"""Weight pruning: exact sparsities, zeros that stay, the gate, files that shrink."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import factorize
from speech2unit.recipes.prune_weights import has_converged, make_permanent, prunable_layers, prune_to, prune_weights


def zeros(model):
    return sum(int((layer.weight == 0).sum()) for layer in prunable_layers(model).values())


def total(model):
    return sum(layer.weight.numel() for layer in prunable_layers(model).values())


def test_the_matrices_of_the_blocks_are_prunable_and_nothing_else(transformer):
    model = transformer()
    assert total(model) == 2 * (4 * 16 * 16 + 2 * 16 * 24)
    factorize(model.blocks[0], "fc1", 3)
    assert total(model) == 2 * (4 * 16 * 16 + 2 * 16 * 24) - 16 * 24 + 3 * (16 + 24)


@pytest.mark.parametrize("sparsity", [0.2, 0.55, 0.7])
def test_the_smallest_weights_of_all_blocks_go_together(transformer, sparsity):
    model = transformer()
    before = {name: layer.weight.detach().clone() for name, layer in prunable_layers(model).items()}
    biases = {name: layer.bias.detach().clone() for name, layer in prunable_layers(model).items()}
    prune_to(model, sparsity)
    assert zeros(model) == round(sparsity * total(model))
    gone = torch.cat([weight[prunable_layers(model)[name].weight == 0].abs() for name, weight in before.items()])
    left = torch.cat([weight[prunable_layers(model)[name].weight != 0].abs() for name, weight in before.items()])
    assert gone.max() <= left.min()
    assert all(torch.equal(layer.bias, biases[name]) for name, layer in prunable_layers(model).items())


def test_a_higher_sparsity_keeps_the_zeros_that_there_are(melhubert):
    prune_to(melhubert, 0.3)
    first = {name: layer.weight == 0 for name, layer in prunable_layers(melhubert).items()}
    with torch.no_grad():
        for layer in prunable_layers(melhubert).values():
            layer.parametrizations.weight.original.add_(10.0)  # what training makes of them does not count
    prune_to(melhubert, 0.6)
    assert zeros(melhubert) == round(0.6 * total(melhubert))
    assert all((layer.weight == 0)[first[name]].all() for name, layer in prunable_layers(melhubert).items())
    names = make_permanent(melhubert)
    assert set(names) <= set(melhubert.state_dict()) and zeros(melhubert) == round(0.6 * total(melhubert))


def curve(*losses, every=10):
    return [
        dict(update=every * i, split="train", measure="loss", value=value) for i, value in enumerate(losses, 1)
    ]  # fmt: skip


def test_the_gate_opens_where_the_smoothed_loss_stops_falling():
    how = dict(smoothing=0.5, window_updates=20, max_fall_nats=0.01)
    assert not has_converged(curve(3.0, 2.0, 1.0, 0.5), **how)
    assert has_converged(curve(3.0, 1.0, 1.0, 1.0, 1.0), **how)
    assert has_converged(curve(1.0, 1.0, 1.5, 2.0), **how)  # it rose
    assert not has_converged(curve(1.0, 1.0), **how)  # not that long ago
    slow = dict(smoothing=0.9998, window_updates=20, max_fall_nats=0.01)
    assert has_converged(curve(1.0, 0.8, 0.6, 0.4), **slow)  # an average of thousands of updates hardly moves
    rows = [dict(row, split="dev") for row in curve(3.0, 1.0, 1.0, 1.0)]
    assert not has_converged(rows, **how)


@pytest.mark.parametrize("name", ["melhubert", "hubert"])
def test_sparse_models_are_sparse_on_disk(lineage, name):
    settings, load, parent = lineage(name)
    prune_weights(
        **settings, sparsities=[0.5, 0.7], convergence=dict(smoothing=0.9, window_updates=1, max_fall_nats=0.0), max_rounds=2,
        num_updates_before=1, num_updates=2,
    )  # fmt: skip
    child = load()
    assert zeros(child) == round(0.7 * total(child))
    assert set(child.state_dict()) == set(parent.state_dict())
    dense, sparse = (settings[path].stat().st_size for path in ("parent_model", "model"))
    saved = 4 * 0.7 * total(child) - total(child) / 8
    assert dense - sparse > saved - 4_000  # names of values, bits and shapes in the header
