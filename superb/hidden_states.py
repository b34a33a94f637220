"""Hidden states of an encoder, with or without something that tuning adds to it.

State 0 is the input of the first block, and state i is the output of block i, as in s3prl's upstreams. There is one difference:
for encoders with layer norms before attention, s3prl normalises the last state once more.
"""

import torch
from torch import nn


class EncoderTuning(nn.Module):
    """Base class of what tuning adds to an encoder; it adds nothing itself.

    Subclasses must not register the trunk as a submodule, since `TaskModel` does.

    Attributes:
        length: number of vectors before the frames.
    """

    length = 0

    def prepend(self, x, valid_mask):
        """Return the input of the encoder with vectors before the frames.

        Args:
            x: projected frames `[B, T, D]`.
            valid_mask: boolean `[B, T]`, the frames that are not padding, or None if there is no padding.

        Returns:
            The input `[B, length + T, D]` and its mask `[B, length + T]` or None.
        """
        return x, valid_mask

    def replace_input(self, layer, x):
        """Return what block number `layer`, from 0, takes instead of its input `x` `[B, length + T, D]`."""
        return x

    def initialize(self, trunk, waveforms):
        """Initialize parameters that start from the encoder's own activations, by a list of waveforms `[N_i]`."""


def batch_hidden_states(trunk, tuning_module, waveforms):
    """Return the hidden states of a batch. Padding changes no frame.

    Args:
        trunk: an encoder, see `speech2unit.encoders.Trunk`.
        tuning_module: an `EncoderTuning`.
        waveforms: list of waveforms `[N_i]`.

    Returns:
        States `[L + 1, B, T, D]`, float32, without the vectors before the frames, and the numbers of frames `[B]`.
    """
    device = next(trunk.parameters()).device
    frames = [trunk.frames(torch.as_tensor(waveform, device=device)) for waveform in waveforms]
    num_frames = [len(part) for part in frames]
    lengths = torch.tensor(num_frames, device=device)
    x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
    valid_mask = None
    if min(num_frames) < max(num_frames):
        valid_mask = torch.arange(x.shape[1], device=device) < lengths[:, None]
    x, valid_mask = tuning_module.prepend(x, valid_mask)
    x = trunk.embed(x, valid_mask)
    states = []
    for layer, function in enumerate(trunk.layer_functions(x, valid_mask)):
        x = tuning_module.replace_input(layer, x)
        states.append(x)
        x = function(x)
    states.append(x)
    return torch.stack([state[:, tuning_module.length :].float() for state in states]), lengths


def plain_hidden_states(trunk, waveforms):
    """Return the hidden states of the encoder itself, each waveform computed alone.

    Args:
        trunk: an encoder, see `speech2unit.encoders.Trunk`.
        waveforms: list of waveforms `[N_i]`.

    Returns:
        List of float32 arrays `[L + 1, T_i, D]`.
    """
    plain = EncoderTuning()
    with torch.no_grad():
        return [batch_hidden_states(trunk, plain, [waveform])[0][:, 0].cpu().numpy() for waveform in waveforms]
