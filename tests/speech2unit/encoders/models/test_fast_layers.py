"""The fast layers against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from speech2unit.encoders.models.fast_layers import Conv, Linear, PositionalConv, fold_group_norm


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def drawn(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module.requires_grad_(False)


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_packed_matrix_gives_the_same(gelu, bias):
    layer, x = drawn(Linear(12, 7, bias)), torch.randn(2, 5, 12)
    expected = F.gelu(F.linear(x, layer.weight, layer.bias)) if gelu else F.linear(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x, gelu), expected)
    layer.pack()
    assert layer.weight is None
    torch.testing.assert_close(layer(x, gelu), expected)


@pytest.mark.parametrize(("kernel", "stride"), [(10, 5), (3, 2), (2, 2), (1, 3)])
@pytest.mark.parametrize("packed", [False, True])
def test_convolutions_are_those_of_pytorch(kernel, stride, packed):
    conv, x = drawn(Conv(4, 6, kernel, stride, True)), torch.randn(40, 4)[7:]  # not at the start of its memory
    weight = conv.weight.unflatten(1, (kernel, 4)).transpose(1, 2)
    expected = F.conv1d(x.T[None], weight, conv.bias, stride)[0].T
    if packed:
        conv.pack()
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(conv(x, gelu=True), F.gelu(expected))


def test_windows_are_views():
    x = torch.randn(9, 2)
    windows = Conv(2, 1, 3, 2, False).windows(x)
    assert windows.data_ptr() == x.data_ptr() and torch.equal(windows[1], x[2:5].flatten())


@pytest.mark.parametrize("offset", [0, 50])
def test_a_group_norm_folded_into_its_convolution(monkeypatch, offset):
    monkeypatch.setattr("speech2unit.encoders.models.fast_layers.STATISTICS_ROWS", 100)
    conv, norm, x = drawn(Conv(1, 8, 10, 5, False)), drawn(torch.nn.GroupNorm(8, 8)), torch.randn(2000, 1) + offset
    weight, bias = fold_group_norm(conv.weight, norm, conv.windows(x))
    expected = norm((conv.windows(x).double() @ conv.weight.double().T).float().T[None])[0].T
    torch.testing.assert_close(F.linear(conv.windows(x), weight, bias), expected, atol=1e-3 if offset else 1e-5, rtol=1e-4)


def test_silence_is_the_bias_of_the_group_norm():
    conv, norm = drawn(Conv(1, 8, 10, 5, False)), drawn(torch.nn.GroupNorm(8, 8))
    weight, bias = fold_group_norm(conv.weight, norm, torch.zeros(30, 10))
    assert torch.equal(F.linear(torch.zeros(30, 10), weight, bias)[3], norm.bias)


@pytest.mark.parametrize("kernel", [1, 7, 8])
@pytest.mark.parametrize("num_frames", [1, 8, 9, 10, 57])
def test_positional_convolutions_are_those_of_pytorch(kernel, num_frames):
    conv, x = drawn(PositionalConv(12, kernel, 3)).requires_grad_(), torch.randn(2, num_frames, 12)
    expected = F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, padding=kernel // 2, groups=3)[..., :num_frames]
    found = conv(x)
    torch.testing.assert_close(found, expected.transpose(1, 2), atol=1e-5, rtol=1e-5)
    gradients = (torch.autograd.grad(y.square().sum(), [conv.weight, conv.bias]) for y in (found, expected))
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)
    conv.prepare()
    assert torch.equal(conv(x), found)
