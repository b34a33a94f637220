"""Weight pruning: exact sparsities, zeros that stay, convergence, smaller files."""

import pytest
import torch

from speech2unit.encoders.models.compressed_layers import factorize
from speech2unit.recipes.prune_weights import (
    has_converged,
    make_permanent,
    prunable_layers,
    prune_to,
    prune_weights,
)

NUM_WEIGHTS = 2 * (4 * 16 * 16 + 2 * 16 * 24)  # two blocks: attention and feed-forward


def count_zeros(model):
    return sum(int((layer.weight == 0).sum()) for layer in prunable_layers(model).values())


def count_weights(model):
    return sum(layer.weight.numel() for layer in prunable_layers(model).values())


def test_all_matrices_of_the_blocks_are_prunable_and_nothing_else(transformer):
    model = transformer()
    more_feed_forward = len(model.blocks[0].FEED_FORWARD) - 2  # matrices, in each of two blocks of a conformer
    num_weights = NUM_WEIGHTS + 2 * more_feed_forward * 16 * 24
    assert count_weights(model) == num_weights
    factorize(model.blocks[0], "fc1", 3)
    assert count_weights(model) == num_weights - 16 * 24 + 3 * (16 + 24)


@pytest.mark.parametrize("sparsity", [0.2, 0.55, 0.7])
def test_the_smallest_weights_of_all_blocks_are_masked(transformer, sparsity):
    model = transformer()
    weights = {name: layer.weight.detach().clone() for name, layer in prunable_layers(model).items()}
    biases = {name: layer.bias.detach().clone() for name, layer in prunable_layers(model).items()}
    prune_to(model, sparsity)
    layers = prunable_layers(model)
    assert count_zeros(model) == round(sparsity * count_weights(model))
    masked = torch.cat([weight[layers[name].weight == 0].abs() for name, weight in weights.items()])
    kept = torch.cat([weight[layers[name].weight != 0].abs() for name, weight in weights.items()])
    assert masked.max() <= kept.min()
    assert all(torch.equal(layer.bias, biases[name]) for name, layer in layers.items())


def test_zeros_stay_zeros_at_a_higher_sparsity_and_when_made_permanent(melhubert):
    prune_to(melhubert, 0.3)
    masked_at_first = {name: layer.weight == 0 for name, layer in prunable_layers(melhubert).items()}
    with torch.no_grad():
        for layer in prunable_layers(melhubert).values():
            layer.parametrizations.weight.original.add_(10.0)  # training may move the weights under the mask
    prune_to(melhubert, 0.6)
    num_zeros = round(0.6 * count_weights(melhubert))
    assert count_zeros(melhubert) == num_zeros
    for name, layer in prunable_layers(melhubert).items():
        assert (layer.weight == 0)[masked_at_first[name]].all()
    names = make_permanent(melhubert)
    assert set(names) <= set(melhubert.state_dict())
    assert count_zeros(melhubert) == num_zeros


def curve_of(*losses, split="train"):
    return [dict(update=10 * number, split=split, measure="loss", value=loss) for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "smoothing", "converged"),
    [
        ((3.0, 2.0, 1.0, 0.5), 0.5, False),
        ((3.0, 1.0, 1.0, 1.0, 1.0), 0.5, True),
        pytest.param((1.0, 1.0, 1.5, 2.0), 0.5, True, id="rising"),
        pytest.param((1.0, 1.0), 0.5, False, id="shorter than the window"),
        pytest.param((1.0, 0.8, 0.6, 0.4), 0.9998, True, id="an average over thousands of updates"),
    ],
)
def test_training_has_converged_when_the_smoothed_loss_stops_falling(losses, smoothing, converged):
    settings = dict(smoothing=smoothing, window_updates=20, max_fall_nats=0.01)
    assert has_converged(curve_of(*losses), **settings) == converged


def test_the_dev_loss_does_not_count_for_convergence():
    settings = dict(smoothing=0.5, window_updates=20, max_fall_nats=0.01)
    assert not has_converged(curve_of(3.0, 1.0, 1.0, 1.0, split="dev"), **settings)


@pytest.mark.slow
@pytest.mark.parametrize("transformer", ["melhubert", "hubert", "whisper"])
def test_the_stage_writes_a_sparse_file(prepare_stage, transformer):
    arguments, load_model, parent = prepare_stage(transformer)
    prune_weights(
        **arguments,
        sparsities=[0.5, 0.7],
        convergence=dict(smoothing=0.9, window_updates=1, max_fall_nats=0.0),
        max_rounds=2,
        num_updates_before=1,
        num_updates=2,
    )
    child = load_model("child")
    assert count_zeros(child) == round(0.7 * count_weights(child))
    assert set(child.state_dict()) == set(parent.state_dict())
    bytes_saved = arguments["parent_model"].stat().st_size - arguments["model"].stat().st_size
    bytes_of_zeros = 4 * 0.7 * count_weights(child)
    bytes_of_bitmasks = count_weights(child) / 8
    max_header_bytes = 4_000
    assert bytes_saved > bytes_of_zeros - bytes_of_bitmasks - max_header_bytes
