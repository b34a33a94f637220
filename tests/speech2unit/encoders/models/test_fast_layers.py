"""The fast layers compute the same as PyTorch's."""

import pytest
import torch
import torch.nn.functional as F

from speech2unit.encoders.models.fast_layers import Conv, Linear, PositionalConv, fold_group_norm


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def random(module):
    """Return a module with normally distributed weights, for inference."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.requires_grad_(False)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_matrix_gives_the_same(gelu, bias):
    layer = random(Linear(12, 7, bias))
    x = torch.randn(2, 5, 12)
    product = F.linear(x, layer.weight, layer.bias)
    expected = F.gelu(product) if gelu else product
    torch.testing.assert_close(layer(x, gelu), expected)
    layer.pack()
    assert layer.weight is None
    torch.testing.assert_close(layer(x, gelu), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (3, 2), (2, 2), (1, 3)])
@pytest.mark.parametrize("packed", [False, True])
def test_convolutions_are_those_of_pytorch(kernel, stride, packed):
    conv = random(Conv(4, 6, kernel, stride, True))
    x = torch.randn(40, 4)[7:]  # a view that does not begin where its memory does
    weight = conv.weight.unflatten(1, (kernel, 4)).transpose(1, 2)
    expected = F.conv1d(x.T[None], weight, conv.bias, stride)[0].T
    if packed:
        conv.pack()
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv(x, gelu=True), F.gelu(expected))


def test_windows_are_views():
    x = torch.randn(9, 2)
    windows = Conv(2, 1, 3, 2, False).windows(x)
    assert windows.data_ptr() == x.data_ptr()
    assert torch.equal(windows[1], x[2:5].flatten())


@pytest.mark.parametrize("offset", [0, 50])
def test_a_group_norm_can_be_folded_into_its_convolution(monkeypatch, offset):
    monkeypatch.setattr("speech2unit.encoders.models.fast_layers.STATISTICS_ROWS", 100)
    conv, norm = random(Conv(1, 8, 10, 5, False)), random(torch.nn.GroupNorm(8, 8))
    windows = conv.windows(torch.randn(2000, 1) + offset)
    weight, bias = fold_group_norm(conv.weight, norm, windows)
    expected = norm((windows.double() @ conv.weight.double().T).float().T[None])[0].T
    torch.testing.assert_close(F.linear(windows, weight, bias), expected, atol=1e-3 if offset else 1e-5, rtol=1e-4)


def test_silence_becomes_the_bias_of_the_group_norm():
    conv, norm = random(Conv(1, 8, 10, 5, False)), random(torch.nn.GroupNorm(8, 8))
    weight, bias = fold_group_norm(conv.weight, norm, torch.zeros(30, 10))
    assert torch.equal(F.linear(torch.zeros(30, 10), weight, bias)[3], norm.bias)


@pytest.mark.parametrize("kernel", [1, 6, 7, 8])
@pytest.mark.parametrize("num_frames", [1, 8, 9, 10, 57])
def test_positional_convolutions_and_their_gradients_are_those_of_pytorch(kernel, num_frames):
    conv = random(PositionalConv(12, kernel, 3)).requires_grad_()
    x = torch.randn(2, num_frames, 12)
    reference = F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, padding=kernel // 2, groups=3)
    expected = reference[..., :num_frames].transpose(1, 2)
    found = conv(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), [conv.weight, conv.bias]) for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)
    conv.prepare()
    assert torch.equal(conv(x), found)
