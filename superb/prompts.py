"""Prompts inside a frozen speech encoder: learned vectors before its frames, at the input or in every layer.

**Source:** arXiv 2210.06175 (SLT 2022). Deviations: the head sees all frames and no prompt (the ancestor cuts its outputs to
the first T positions, which hands over the prompts and loses the last frames); the vectors start from random numbers, as ones
or a repeated mean give every row of a layer the same gradient for ever, so that they act as one.
"""

import torch
from torch import nn

from storage.errors import data_error
from superb.hidden_states import EncoderTuning, batch_hidden_states

INITIALIZATIONS = ("normal", "mean", "ones")


class InputPrompt(EncoderTuning):
    """Vectors `[length, D]` before the frames, in front of the positional convolution. Trained parameters: length · D."""

    def __init__(self, trunk, *, length, initialization, init_scale):
        """initialization: `normal`, from N(0, init_scale²); `mean`, the same around the encoder's own mean once `initialize` has
        seen a batch; `ones`, the ancestor's, for comparison. Raises `ValueError` for another one.
        """
        super().__init__()
        if initialization not in INITIALIZATIONS:
            raise data_error(
                "prompts",
                "'initialization' says how they start",
                expected=f"one of {INITIALIZATIONS}",
                got=f"'{initialization}'",
                remedy="correct the preset in config/config.yaml",
            )
        self.length, self.initialization, self.init_scale = length, initialization, init_scale
        self.input = self._vectors(length, trunk.dim)

    def _vectors(self, *shape):
        ones = self.initialization == "ones"
        return nn.Parameter(torch.ones(shape) if ones else self.init_scale * torch.randn(shape))

    def prepend(self, x, real):
        """See `EncoderTuning.prepend`."""
        x = torch.cat([self.input.expand(len(x), -1, -1), x], 1)
        return x, None if real is None else torch.cat([real.new_ones(len(x), self.length), real], 1)

    def initialize(self, trunk, waveforms):
        """Of `mean`: moves the vectors to the mean over the batch and time of what they stand beside."""
        if self.initialization == "mean":
            self._move(*average_inputs(trunk, waveforms))

    @torch.no_grad()
    def _move(self, of_input, of_blocks):
        self.input += of_input


class DeepPrompt(InputPrompt):
    """And in each block the first rows of its input are replaced by vectors of its own, `[blocks, length, D]`.

    Trained parameters: (blocks + 1) · length · D; for 12 blocks, length 10 and D = 768: 99,840. Those of the input act on the
    frames through the positional convolution alone.
    """

    def __init__(self, trunk, **settings):
        """Arguments as `InputPrompt`."""
        super().__init__(trunk, **settings)
        self.blocks = self._vectors(trunk.num_layers, self.length, trunk.dim)

    def replace_input(self, number, x):
        """See `EncoderTuning.replace_input`."""
        return torch.cat([self.blocks[number].expand(len(x), -1, -1), x[:, self.length :]], 1)

    @torch.no_grad()
    def _move(self, of_input, of_blocks):
        self.input += of_input
        self.blocks += of_blocks[:, None]


class _Inputs(EncoderTuning):
    """Notes the frames that enter an encoder."""

    def prepend(self, x, real):
        self.x = x
        return x, real


@torch.no_grad()
def average_inputs(trunk, waveforms):
    """Mean over all frames of a batch of waveforms: of what enters the encoder `[D]`, and of each block's input `[L, D]`."""
    inputs = _Inputs()
    states, lengths = batch_hidden_states(trunk, inputs, waveforms)
    real = torch.arange(states.shape[2], device=states.device) < lengths[:, None]
    return inputs.x[real].mean(0), states[:-1, real].mean(1)
