"""The training loop: what it trains, which parameters it keeps, what it refuses."""

from itertools import count

import pytest
import torch
from torch import nn

from training.fit import fit, learning_rate_factor, trained_state

SETTINGS = dict(
    num_updates=40,
    batches_per_update=1,
    learning_rate=0.05,
    rate_factors={},
    warmup_updates=4,
    clip_norm=1.0,
    betas=(0.9, 0.98),
    weight_decay=0.0,
    evaluate_every=10,
    seed=3,
)


class Line(nn.Module):
    """Two linear layers, the first of which is frozen."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.trained = nn.Linear(4, 1)
        self.register_buffer("seen", torch.zeros(1))

    def error(self, x):
        return (self.trained(self.frozen(x))[:, 0] - x.sum(1)).square().float()


def batches(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(8, 4, generator=generator) for _ in count())


def run(model, evaluate=None, loss=None, **changed):
    loss = loss or (lambda x: (model.error(x).sum(), len(x)))
    evaluate = evaluate or (lambda: dict(loss=float(model.error(next(batches(9))).mean())))
    return fit(model, loss=loss, batches=batches, evaluate=evaluate, **SETTINGS | changed)


def values(curve, split, measure="loss"):
    """Return update → value of a measure in a split."""
    return {row["update"]: row["value"] for row in curve if (row["split"], row["measure"]) == (split, measure)}


def test_the_curve_shows_that_the_loss_falls():
    model = Line()
    curve = run(model)
    assert list(values(curve, "train")) == list(values(curve, "dev")) == [10, 20, 30, 40]
    assert (
        values(curve, "train")[40] < 0.8 * values(curve, "train")[10]
        and values(curve, "dev")[40] < 0.8 * values(curve, "dev")[10]
    )
    assert {row["seed"] for row in curve} == {3} and all(row["seconds"] >= 0 for row in curve)
    assert not model.training


def test_only_what_requires_gradients_trains():
    model = Line()
    before = Line().state_dict()
    run(model)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"trained.weight", "trained.bias"}
    assert set(trained_state(model)) == {"trained.weight", "trained.bias", "seen"}


def test_the_best_by_dev_loss_is_kept():
    model = Line()
    losses = iter([3.0, 1.0, 2.0, 1.0])
    states = []

    def evaluate():
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return dict(accuracy=0.5, loss=next(losses))

    curve = run(model, evaluate)
    assert values(curve, "dev") == {10: 3.0, 20: 1.0, 30: 2.0, 40: 1.0} and values(curve, "dev", "accuracy")[10] == 0.5
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(states[1]["trained.weight"], states[3]["trained.weight"])


def test_the_last_update_is_evaluated_too_and_in_evaluation_mode():
    model = Line()
    modes = []

    def evaluate():
        modes.append((model.training, torch.is_grad_enabled()))
        return dict(loss=1.0)

    assert list(values(run(model, evaluate, num_updates=13), "dev")) == [10, 13]
    assert modes == [(False, False)] * 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tensors():
    first, second = Line(), Line()
    curves = [[row | dict(seconds=0) for row in run(model)] for model in (first, second)]
    assert curves[0] == curves[1]
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_the_loss_is_a_mean_over_targets():
    first, second = Line(), Line()
    run(first, num_updates=3)
    run(second, loss=lambda x: (4 * second.error(x).sum(), 4 * len(x)), num_updates=3)
    torch.testing.assert_close(first.trained.weight, second.trained.weight)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_training(value):
    model = Line()
    with pytest.raises(
        ValueError, match=r"training, update 10: the loss must be finite; expected a number, got (nan|inf); lower learning_rate"
    ):
        run(model, loss=lambda x: (model.error(x).sum() * value, len(x)))


def test_a_dev_loss_that_is_not_finite_stops_training():
    with pytest.raises(ValueError, match="update 10: the loss must be finite"):
        run(Line(), lambda: dict(loss=float("nan")))


def test_learning_rates_can_differ_by_name():
    model = Line()
    before = Line().state_dict()
    run(model, rate_factors={"trained.bias": 0.0}, num_updates=5)
    assert torch.equal(model.trained.bias, before["trained.bias"])
    assert not torch.equal(model.trained.weight, before["trained.weight"])


def parameters_after_an_update_without_gradients(**changed):
    """Return the trained layer after one update whose gradients are 0, so that only weight decay changes it."""
    model = Line()
    settings = dict(num_updates=1, warmup_updates=0, weight_decay=0.5, evaluate_every=1) | changed
    run(model, loss=lambda x: (0 * model.error(x).sum(), len(x)), **settings)
    return model.trained


def test_weight_decay_may_leave_biases_out():
    start = Line().trained
    both = parameters_after_an_update_without_gradients()
    torch.testing.assert_close(both.weight, start.weight * (1 - 0.05 * 0.5))
    torch.testing.assert_close(both.bias, start.bias * (1 - 0.05 * 0.5))
    weights_alone = parameters_after_an_update_without_gradients(weight_decay_on_biases=False)
    assert torch.equal(weights_alone.weight, both.weight) and torch.equal(weights_alone.bias, start.bias)


def test_a_large_epsilon_makes_steps_small():
    start = Line().trained.weight
    steps = []
    for epsilon in (1e-8, 1e8):
        model = Line()
        run(model, num_updates=1, warmup_updates=0, evaluate_every=1, epsilon=epsilon)
        steps.append((model.trained.weight - start).abs().max().item())
    assert steps[0] == pytest.approx(0.05, rel=1e-3) and 0 <= steps[1] < 1e-6


def test_the_learning_rate_warms_up_and_falls_to_zero():
    factors = [learning_rate_factor(update, 100, 10) for update in range(101)]
    assert factors[0] == 0.1 and factors[9] == factors[10] == max(factors) == 1.0
    assert factors[:10] == sorted(factors[:10]) and factors[10:] == sorted(factors[10:], reverse=True)
    assert factors[55] == pytest.approx(0.5) and factors[100] == pytest.approx(0)
    assert learning_rate_factor(0, 1, 0) == 1.0
    assert [learning_rate_factor(update, 100, 10, "linear") for update in (10, 55, 100)] == [1.0, 0.5, 0.0]
    assert [learning_rate_factor(update, 100, 10, "constant") for update in (0, 10, 55, 100)] == [0.1, 1.0, 1.0, 1.0]


@pytest.mark.slow
def test_two_processes_do_the_same_as_one_with_all_their_rows():
    one, two = Line(), Line()
    generators = [batches(0), batches(1)]
    all_rows = (torch.cat([next(generator) for generator in generators]) for _ in count())
    loss = lambda x: (one.error(x).sum(), len(x))  # noqa: E731
    fit(one, loss=loss, batches=lambda number: all_rows, evaluate=lambda: dict(loss=1.0), **SETTINGS)
    curve = run(two, lambda: dict(loss=1.0), batches_per_update=2)
    torch.testing.assert_close(one.trained.weight, two.trained.weight, rtol=0, atol=1e-3)  # products may be in bfloat16
    assert len(values(curve, "train")) == 4
