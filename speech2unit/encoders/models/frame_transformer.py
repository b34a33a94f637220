"""The interface of transformers over frames that a front end computes from a waveform: wav2vec 2.0 and its family, Whisper."""

import torch
from torch import nn

from speech2unit.encoders.models.fast_layers import Linear

SAMPLE_RATE_HZ = 16_000
CPU_FRAMES = 100  # few enough for the cache of a CPU
GPU_FRAMES = 3000


def frames_together(device):
    """Return how many frames pass the convolutions of a front end together on a device."""
    return CPU_FRAMES if device.type == "cpu" else GPU_FRAMES


class FrameTransformer(nn.Module):
    """Base class of models that compute the hidden states of frames.

    A subclass sets `config`, `front_end` (a module that returns the frames `[T, D]` of a waveform `[N]`) and `blocks`, and
    defines `embed` and `layer_functions`.
    """

    max_frames = None  # frames that can be computed together; None: any number
    has_positional_conv = False  # whether frames see their neighbours in `embed`
    never_packed = ()  # names of the linear layers whose plain weights are needed for inference

    def prepare(self):
        """Optimize the weights for inference on their device. After this the model can no longer be trained or saved."""
        if next(self.parameters()).device.type == "cpu":
            for name, module in self.named_modules():
                if isinstance(module, Linear) and name not in self.never_packed:
                    module.pack()
        return self.eval().requires_grad_(False)

    def freeze_inputs(self):
        """Freeze all that comes before the blocks, so that training keeps the frames."""
        self.front_end.eval().requires_grad_(False)

    def hidden_state(self, frames, layer):
        """Return the hidden state `[B, T, D]` of one layer; arguments as `hidden_states`."""
        for x in self.hidden_states(frames, layer):
            state = x
        return state

    def hidden_states(self, frames, last_layer=None):
        """Yield the hidden states `[B, T, D]` of layers 0, 1, … up to `last_layer`.

        Args:
            frames: list of frames `[T_i, D]`; they are padded to a batch.
            last_layer: the last layer to compute; None: all layers.

        Yields:
            The input of the first block, then the result of each layer.
        """
        x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
        valid_mask = None
        if len({len(f) for f in frames}) > 1:
            lengths = torch.tensor([len(f) for f in frames], device=x.device)
            valid_mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        x = self.embed(x)
        yield x
        for layer in self.layer_functions(x.shape[1], valid_mask, last_layer):
            x = layer(x)
            yield x

    def embed(self, x):
        """Return the input of the first block for frames `[B, T, D]`, which are 0 where they are padding."""
        raise NotImplementedError

    def layer_functions(self, num_frames, valid_mask=None, last_layer=None):
        """Return a list with one function per layer, which maps its input `[B, T, D]` to its output `[B, T, D]`.

        Args:
            num_frames: number of frames T of the padded batch.
            valid_mask: boolean `[B, T]`, True for frames that are not padding; None: there is no padding.
            last_layer: the last layer to return; None: all layers.
        """
        raise NotImplementedError
