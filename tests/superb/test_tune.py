"""Training of a task's model: it learns, only trained parameters change, and head and encoder have their own rates."""

import pytest
import torch

from superb.model import NOT_IN_ENCODER, build_model
from superb.tune import tune

OPTIMIZATION = dict(
    batches_per_update=1, learning_rate=0.02, warmup_updates=2, clip_norm=1.0, betas=[0.9, 0.98], weight_decay=0.0, evaluate_every=25
)  # fmt: skip
SETTINGS = dict(num_updates=25, encoder_learning_rate=0.01, optimization=OPTIMIZATION, seed=1)
METHODS = dict(
    weighted_sum={}, deep_prompt=dict(length=2, initialization="mean", init_scale=0.1), lora=dict(rank=2),
    adapter=dict(bottleneck=2, both=False), bitfit={}, full={},
)  # fmt: skip


def model_of(folder, method):
    torch.manual_seed(0)
    head = dict(architecture="mean_pooling", projection_dim=8)
    return build_model(folder, tuning=dict(method=method, **METHODS[method]), head=head, num_outputs=[3])


def train(folder, waveforms, method="deep_prompt", **changes):
    model = model_of(folder, method)
    batch = waveforms, [[0], [1], [2]]

    def batches(number):
        while True:
            yield batch

    curve = tune(model, batches=batches, dev_batches=[batch], **SETTINGS | changes)
    return model, curve


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_it_learns_and_changes_trained_parameters_only(melhubert, waveforms, method):
    before = model_of(melhubert, method)
    first = before.measures([(waveforms, [[0], [1], [2]])])["loss"]
    model, curve = train(melhubert, waveforms, method)
    assert next(row["value"] for row in curve if row["split"] == "dev" and row["measure"] == "loss") < 0.7 * first
    changed = {name for (name, a), b in zip(before.named_parameters(), model.parameters()) if not torch.equal(a, b)}
    assert changed == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert not model.training


def test_head_and_encoder_have_learning_rates_of_their_own(melhubert, waveforms):
    before = dict(model_of(melhubert, "deep_prompt").named_parameters())
    model, _ = train(melhubert, waveforms, num_updates=1, encoder_learning_rate=1e-9)
    moved = {name: float((p - before[name]).abs().max()) for name, p in model.named_parameters() if p.requires_grad}
    assert all((step > 1e-3) for name, step in moved.items() if name.startswith(NOT_IN_ENCODER))
    fresh = model_of(melhubert, "deep_prompt")
    fresh.tuning_module.initialize(fresh.trunk, waveforms)  # mean: vectors move before the first update, and hardly after it
    for name, parameter in fresh.tuning_module.named_parameters():
        torch.testing.assert_close(dict(model.tuning_module.named_parameters())[name], parameter, atol=1e-7, rtol=0)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(melhubert, waveforms):
    (a, first), (b, second) = (train(melhubert, waveforms, num_updates=3) for _ in "ab")
    assert [row["value"] for row in first] == [row["value"] for row in second]
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters()))
