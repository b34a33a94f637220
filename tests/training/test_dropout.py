"""Dropout on a CPU: dropped fraction, scale, gradients, and when it changes nothing."""

import pytest
import torch

from training.dropout import Dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(1001, 333), (7, 11, 13, 300)])
def test_fraction_and_scale(p, shape):
    torch.manual_seed(3)
    x = torch.ones(shape, requires_grad=True)
    y = Dropout(p)(x)
    assert sorted(set(y.detach().flatten().tolist())) == pytest.approx([0, 1 / (1 - p)], rel=1e-4)
    tolerance = 5 * (p * (1 - p) / x.numel()) ** 0.5
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=tolerance + 2**-16)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach())


def test_adjacent_elements_are_dropped_independently():
    torch.manual_seed(0)
    dropped = Dropout(0.5)(torch.ones(1 << 20)).view(-1, 4) == 0
    for a in range(4):
        for b in range(a):
            assert float((dropped[:, a] & dropped[:, b]).float().mean()) == pytest.approx(0.25, abs=0.005)


def test_the_same_seed_drops_the_same_elements():
    module = Dropout(0.3)
    x = torch.randn(5, 7)
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(module(x))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_bfloat16_stays_bfloat16():
    assert Dropout(0.1)(torch.ones(64, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_nothing_or_everything_is_dropped():
    x = torch.randn(4, 9)
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    assert Dropout(0.5)(torch.zeros(0, 3)).shape == (0, 3)
