"""Layers for inference: the same numbers as PyTorch's own, to rounding, in less time on a CPU.

Convolutions over time are matrix products of views; a group norm is folded into its convolution; a wide grouped convolution
runs in the frequency domain; matrices are laid out once as oneDNN wants them.
"""

import torch
import torch.nn.functional as F
from torch import nn

STATISTICS_ROWS = 1 << 16  # windows that are in memory at once, in float64


class Linear(nn.Linear):
    """`nn.Linear`, with GELU after it where asked."""

    packed = None

    def pack(self):
        """Lay the matrix out for oneDNN, which is a sixth faster than MKL's product (AMD EPYC, AVX-512) and adds GELU for
        nothing. The plain weight is given up. What torch.compile also calls; without oneDNN nothing happens.
        """
        if torch.backends.mkldnn.is_available():
            self.packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach())
            self.weight = None

    def forward(self, x, gelu=False):
        """`[..., D_in]` → `[..., D_out]`."""
        if self.packed is not None:
            return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "gelu" if gelu else "none", [], "none")
        return F.gelu(super().forward(x)) if gelu else super().forward(x)


class Conv(Linear):
    """Convolution over time without padding, `[T, C_in]` → `[(T - kernel) // stride + 1, C_out]`; weight `[C_out, kernel × C_in]`."""

    def __init__(self, in_dim, dim, kernel, stride, bias):
        super().__init__(kernel * in_dim, dim, bias)
        self.kernel, self.stride = kernel, stride

    def windows(self, x):
        """What the kernel sees, `[T_out, kernel × C_in]`: a view of contiguous `x`, whose frames lie one behind the other."""
        length, dim = (len(x) - self.kernel) // self.stride + 1, x.shape[1]
        return x.as_strided((length, self.kernel * dim), (self.stride * dim, 1))

    def forward(self, x, gelu=False):
        """See the class."""
        return super().forward(self.windows(x), gelu)


def fold_group_norm(weight, norm, windows):
    """Weight `[C, K]` and bias `[C]` of the convolution that yields group-normalised channels (a group each) at once.

    Mean and variance of a channel over time follow from those of `windows` `[T, K]`, what the kernel sees: its output is not
    needed for them, and nothing that pads a batch can enter. (A bias before the norm would cancel.)
    """
    mean, square, weight = 0, 0, weight.double()
    for part in windows.split(STATISTICS_ROWS):
        part = part.double()
        mean, square = mean + part.sum(0) / len(windows), square + part.T @ part / len(windows)
    variance = (weight @ (square - mean.outer(mean)) * weight).sum(1)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return (weight * scale[:, None]).to(norm.weight), (norm.bias - weight @ mean * scale).to(norm.weight)


class PositionalConv(nn.Module):
    """Grouped convolution over time, zeros around, `[B, T, D]` → `[B, T, D]`; weight `[D, D / groups, kernel]`.

    Blocks of frames are transformed (overlap-save), so that a product of matrices for every frequency takes the place of one
    for every tap: at 128 taps about 16 times fewer operations.
    """

    def __init__(self, dim, kernel, groups):
        super().__init__()
        self.groups, self.kernel, self.block = groups, kernel, 2 * kernel  # frames transformed together
        self.weight, self.bias = nn.Parameter(torch.empty(dim, dim // groups, kernel)), nn.Parameter(torch.empty(dim))
        self.spectra = None

    def prepare(self):
        """Transform the weight once for all; to be called whenever it has changed. Without it every call transforms the weight,
        which may be trained.
        """
        self.spectra = self.transformed().detach()

    def transformed(self):
        """The weight in the frequency domain, `[F, G, C_in, C_out]`."""
        spectra = torch.fft.rfft(self.weight.flip(-1), self.block)
        return spectra.unflatten(0, (self.groups, -1)).permute(3, 0, 2, 1).contiguous()

    def forward(self, x):
        """See the class."""
        (batch, num_frames, _), step = x.shape, self.block - self.kernel + 1
        num_blocks, before = -(-num_frames // step), self.kernel // 2
        after = num_blocks * step + self.kernel - 1 - before - num_frames
        blocks = F.pad(x.float().transpose(1, 2), (before, after)).unfold(2, self.block, step)
        spectra = torch.fft.rfft(blocks).unflatten(1, (self.groups, -1)).permute(4, 1, 0, 3, 2)  # [F, G, B, blocks, C]
        weight = self.transformed() if self.spectra is None else self.spectra
        spectra = (spectra.flatten(2, 3) @ weight).unflatten(2, (batch, num_blocks)).permute(2, 1, 4, 3, 0)
        found = torch.fft.irfft(spectra, self.block)[..., self.kernel - 1 :]  # [B, G, C, blocks, step]
        return found.flatten(3).flatten(1, 2)[..., :num_frames].transpose(1, 2) + self.bias
