"""Hidden states of an encoder, with or without something put into it.

State 0 is the input of the first block, state i the output of the i-th, as s3prl's upstreams yield them (but for encoders with
norms before attention, whose last state s3prl normalises once more).
"""

import torch
from torch import nn


class EncoderTuning(nn.Module):
    """What is put into an encoder: nothing. Others say more; none of them keeps the trunk as a part of itself."""

    length = 0  # positions before the frames

    def prepend(self, x, real):
        """Projected frames `[B, T, D]` and which of them are real `[B, T]` (None: all) → the same with what stands before them."""
        return x, real

    def replace_input(self, number, x):
        """What block `number`, from 0, takes in place of its input `[B, length + T, D]`."""
        return x

    def initialize(self, trunk, waveforms):
        """Vectors that start from the encoder's own activations take them from a batch of waveforms."""


def batch_hidden_states(trunk, tuning_module, waveforms):
    """List of waveforms `[N_i]` → states `[L + 1, B, T, D]` of the frames alone, and their numbers `[B]`.

    tuning_module: an `EncoderTuning` or one that changes something. What stands before the frames is dropped from every state, so that
    position t is frame t of the encoder. What pads a batch changes nothing.
    """
    device = next(trunk.parameters()).device
    frames = [trunk.frames(torch.as_tensor(waveform, device=device)) for waveform in waveforms]
    lengths = torch.tensor([len(f) for f in frames], device=device)
    x, real = nn.utils.rnn.pad_sequence(frames, batch_first=True), None
    if len({len(f) for f in frames}) > 1:
        real = torch.arange(x.shape[1], device=device) < lengths[:, None]
    x, real = tuning_module.prepend(x, real)
    states, x = [], trunk.embed(x, real)
    for number, step in enumerate(trunk.layer_functions(x, real)):
        x = tuning_module.replace_input(number, x)
        states.append(x)
        x = step(x)
    return torch.stack([state[:, tuning_module.length :].float() for state in (*states, x)]), lengths


def hidden_states(trunk, waveforms):
    """List of waveforms `[N_i]` → list of float32 arrays `[L + 1, T_i, D]` of the encoder as it is, each read by itself."""
    with torch.no_grad():
        return [batch_hidden_states(trunk, EncoderTuning(), [waveform])[0][:, 0].cpu().numpy() for waveform in waveforms]
