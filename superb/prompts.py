"""Prompts in a frozen encoder: learned vectors before the frames, at the input alone or in every layer.

**Source:** arXiv 2210.06175 (SLT 2022), with two deviations from its code.

* The head sees all frames and no prompt. The code of the paper cuts the outputs to the first T positions, which keeps the
  vectors of the prompt and loses the last frames.
* The vectors start from random numbers. In the code they start from ones or from a repeated mean, so that all vectors of a
  layer always receive the same gradient and act as one.
"""

import torch
from torch import nn

from storage.errors import data_error
from superb.hidden_states import EncoderTuning, batch_hidden_states

INITIALIZATIONS = ("normal", "mean", "ones")


class InputPrompt(EncoderTuning):
    """Vectors `[length, D]` before the frames at the input, ahead of the positional convolution.

    Trained parameters: length · D.
    """

    def __init__(self, trunk, *, length, initialization, init_scale):
        """Create the vectors.

        Args:
            trunk: the encoder.
            length: number of vectors.
            initialization: how the vectors start. `normal`: from N(0, init_scale²). `mean`: the same, but `initialize` then adds
                the mean input of the encoder. `ones`: all ones, as in the code of the paper, for comparison.
            init_scale: standard deviation of the random numbers.

        Raises:
            ValueError: if the initialization is unknown.
        """
        super().__init__()
        if initialization not in INITIALIZATIONS:
            raise data_error(
                "tune_encoder",
                "'initialization' must be known",
                expected=f"one of {INITIALIZATIONS}",
                got=f"'{initialization}'",
                remedy="correct it in the preset",
            )
        self.length = length
        self.initialization = initialization
        self.init_scale = init_scale
        self.input = self._new_vectors(length, trunk.dim)

    def _new_vectors(self, *shape):
        if self.initialization == "ones":
            return nn.Parameter(torch.ones(shape))
        return nn.Parameter(self.init_scale * torch.randn(shape))

    def prepend(self, x, valid_mask):
        """See `EncoderTuning.prepend`."""
        x = torch.cat([self.input.expand(len(x), -1, -1), x], 1)
        if valid_mask is not None:
            valid_mask = torch.cat([valid_mask.new_ones(len(x), self.length), valid_mask], 1)
        return x, valid_mask

    def initialize(self, trunk, waveforms):
        """If `initialization` is `mean`, add the mean input of the encoder, or of their block, to the vectors."""
        if self.initialization == "mean":
            self._move(*average_inputs(trunk, waveforms))

    @torch.no_grad()
    def _move(self, encoder_mean, block_means):
        self.input += encoder_mean


class DeepPrompt(InputPrompt):
    """Vectors before the frames in every layer: `[length, D]` at the input, and `[blocks, length, D]` for the blocks.

    At the input of each block, its own vectors replace the outputs of the previous block at these positions. Therefore the
    vectors at the input act on the frames only through the positional convolution. In an encoder without one, such as Whisper,
    they are not trained. Trained parameters: (blocks + 1) · length · D, which is 99,840 for 12 blocks, length 10 and D = 768.
    """

    def __init__(self, trunk, **settings):
        """Create the vectors; the arguments are those of `InputPrompt`."""
        super().__init__(trunk, **settings)
        self.input.requires_grad_(trunk.has_positional_conv)
        self.blocks = self._new_vectors(trunk.num_layers, self.length, trunk.dim)

    def replace_input(self, layer, x):
        """See `EncoderTuning.replace_input`."""
        return torch.cat([self.blocks[layer].expand(len(x), -1, -1), x[:, self.length :]], 1)

    @torch.no_grad()
    def _move(self, encoder_mean, block_means):
        self.input += encoder_mean
        self.blocks += block_means[:, None]


class _InputRecorder(EncoderTuning):
    """Record the frames `[N, D]` at the input of an encoder, and change nothing."""

    def prepend(self, x, valid_mask):
        self.frames = x.flatten(0, 1) if valid_mask is None else x[valid_mask]
        return x, valid_mask


@torch.no_grad()
def average_inputs(trunk, waveforms):
    """Return the mean input of the encoder `[D]` and of each block `[L, D]`, over all frames of a batch of waveforms."""
    recorder = _InputRecorder()
    states, lengths = batch_hidden_states(trunk, recorder, waveforms)
    valid_mask = torch.arange(states.shape[2], device=states.device) < lengths[:, None]
    return recorder.frames.mean(0), states[:-1, valid_mask].mean(1)
