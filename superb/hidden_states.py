"""Compute the hidden states of an encoder, with or without the modules that a way of tuning adds to it.

State 0 is the input of the first block, and state i is the output of block i, as in s3prl's upstreams. There are three
differences: for encoders with layer norms before attention, s3prl normalizes the last state once more; the upstream of MelHuBERT's
authors has the projected frames as state 0; and that of DistilALHuBERT's authors has no state 0.
"""

import torch
from torch import nn

from speech2unit.encoders.models import chunks


class EncoderTuning(nn.Module):
    """What a way of tuning adds to an encoder: the base class, which adds nothing.

    Subclasses add prompts, low-rank updates or adapters. They must not register the trunk as a submodule, because `TaskModel`
    does.

    Attributes:
        length: number of prompt vectors before the frames; 0 without a prompt.
    """

    length = 0

    def prepend(self, x, valid_mask):
        """Put the vectors of a prompt before the frames at the input of the encoder.

        Args:
            x: projected frames `[B, T, D]`.
            valid_mask: boolean `[B, T]`, True for frames that are not padding; None: there is no padding.

        Returns:
            The input `[B, length + T, D]` and its mask `[B, length + T]` or None.
        """
        return x, valid_mask

    def replace_input(self, layer, x):
        """Return the input that a block gets in place of `x`.

        Args:
            layer: number of the block, from 0.
            x: input of the block, `[B, length + T, D]`, with the vectors of the prompt first.
        """
        return x

    def initialize(self, trunk, waveforms):
        """Initialize the parameters that start from the encoder's own activations.

        Args:
            trunk: the encoder, see `speech2unit.encoders.Trunk`.
            waveforms: list of waveforms `[N_i]` for which the activations are computed.
        """


def batch_hidden_states(trunk, tuning_module, waveforms):
    """Return the hidden states of a batch. They do not depend on padding.

    Args:
        trunk: an encoder, see `speech2unit.encoders.Trunk`.
        tuning_module: an `EncoderTuning`.
        waveforms: list of waveforms `[N_i]`.

    Returns:
        Hidden states `[L + 1, B, T, D]` of the frames, float32 and without those of a prompt, and the number of frames of each
        waveform `[B]`.
    """
    device = next(trunk.parameters()).device
    windows = [trunk.windows(torch.as_tensor(waveform, device=device)) for waveform in waveforms]
    rows = [window for windows_of_waveform in windows for window in windows_of_waveform]
    num_frames = [len(row) for row in rows]
    lengths = torch.tensor(num_frames, device=device)
    x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
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
    states = torch.stack([state[:, tuning_module.length :].float() for state in states])
    return (states, lengths) if len(rows) == len(waveforms) else _join_windows(states, windows, trunk.max_frames)


def _join_windows(states, windows, max_frames):
    """Return the hidden states `[L + 1, B, T, D]` and the lengths `[B]` of waveforms, from the states of their windows."""
    states_of_row = iter(states.permute(1, 2, 0, 3))
    joined = []
    for windows_of_waveform in windows:
        parts = [next(states_of_row)[: len(window)] for window in windows_of_waveform]
        joined.append(chunks.join(parts, max_frames))
    lengths = torch.tensor([len(states_of_waveform) for states_of_waveform in joined], device=states.device)
    return nn.utils.rnn.pad_sequence(joined, batch_first=True).permute(2, 0, 1, 3), lengths


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
