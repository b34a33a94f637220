"""CPC as GSLM uses it: convolutions over the waveform, then LSTMs over frames of 10 ms.

Layer 0 is the output of the convolutions, layer i that of LSTM i. GSLM's units are made from layer 2. As in fairseq's
`CpcFeatureReader`, features are computed in chunks of 4 s, because GSLM's units depend on them.

**Source:** Rivière et al. 2020, arXiv 2002.02848; Lakhotia et al. 2021 (GSLM), arXiv 2102.01192.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from speech2unit.encoders.models.loading import keep_blocks, load_weights, read_settings, sizes_from
from storage.untrusted.renaming import rename_tensors

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
KERNELS = (10, 8, 4, 4, 4)
STRIDES = (5, 4, 2, 2, 2)
PADDINGS = (3, 2, 1, 1, 1)
MARGIN_SAMPLES = 2 * HOP_SAMPLES  # context on each side: a frame is computed from 153 samples before its start to 311 after it
CHUNK_SAMPLES = 64_000  # 4 s: GSLM's reader resets the LSTMs after each chunk
PUBLISHED_NAMES = {  # our module → pattern of its tensors in the published file
    "convs": r"gEncoder\.conv(\d+)\.(\w+)",
    "norms": r"gEncoder\.batchNorm(\d+)\.(\w+)",
    "layers": r"gAR\.baseNet\.(\w+_l)(\d+)",
}


@dataclass(frozen=True)
class CPCConfig:
    """Sizes of a model."""

    conv_dim: int  # channels of the convolutions
    dim: int  # dimension of the LSTMs
    num_layers: int  # number of LSTMs


class ChannelNorm(nn.Module):
    """Give each frame of `[B, C, T]` mean 0 and (unbiased) variance 1 over its channels, then scale and shift it."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, dim, 1))
        self.bias = nn.Parameter(torch.zeros(1, dim, 1))

    def forward(self, x):
        """Return the normalized `x`, `[B, C, T]`."""
        variance, mean = torch.var_mean(x, 1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


class CPCModel(nn.Module):
    """Waveform → frames → hidden states."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        in_dims = (1, *[config.conv_dim] * 4)
        self.convs = nn.ModuleList(
            nn.Conv1d(in_dim, config.conv_dim, kernel, stride, padding)
            for in_dim, kernel, stride, padding in zip(in_dims, KERNELS, STRIDES, PADDINGS)
        )
        self.norms = nn.ModuleList(ChannelNorm(config.conv_dim) for _ in KERNELS)
        dims = [config.conv_dim] + [config.dim] * config.num_layers
        self.layers = nn.ModuleList(nn.LSTM(in_dim, out_dim, batch_first=True) for in_dim, out_dim in pairwise(dims))

    def convolve(self, waveform):
        """Return the frames `[(N + 1) // 160, conv_dim]` of a waveform `[N]`."""
        x = waveform[None, None]
        for conv, norm in zip(self.convs, self.norms):
            x = torch.relu(norm(conv(x)))
        return x[0].T

    def frames(self, waveform):
        """Return the same as `convolve`, computed in overlapping chunks, so that memory does not grow with the waveform."""
        parts = []
        for start in range(0, len(waveform), CHUNK_SAMPLES):
            first = max(start - MARGIN_SAMPLES, 0)
            chunk = self.convolve(waveform[first : start + CHUNK_SAMPLES + MARGIN_SAMPLES])
            parts.append(chunk[(start - first) // HOP_SAMPLES :][: CHUNK_SAMPLES // HOP_SAMPLES])
        return torch.cat(parts)

    def hidden_states(self, waveforms, layer):
        """Return the hidden states of one layer.

        Padding on the right does not change them, as LSTMs only look back.

        Args:
            waveforms: list of tensors `[N_i]`.
            layer: 0 to `num_layers`.

        Returns:
            List of tensors `[T_i, dim]`.
        """
        frames = [self.frames(waveform) for waveform in waveforms]
        x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
        for lstm in self.layers[:layer]:
            x, _ = lstm(x)
        return [row[: len(f)] for row, f in zip(x, frames)]


class CPC:
    """A CPC model; see `speech2unit.encoders.Encoder`."""

    sample_rate = SAMPLE_RATE_HZ
    hop_length = HOP_SAMPLES

    def __init__(self, model, device):
        self.model = model.to(device).eval()
        self.device = device
        self.dim = model.config.dim
        self.num_layers = model.config.num_layers

    def num_frames(self, num_samples):
        """See `Encoder.num_frames`."""
        num_chunks, num_samples_left = divmod(num_samples, CHUNK_SAMPLES)
        num_states = (num_samples + 1) // HOP_SAMPLES
        num_frames_left = min(num_samples_left // (num_samples // num_states), num_states)
        return num_chunks * (CHUNK_SAMPLES // HOP_SAMPLES) + num_frames_left

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`.

        As in GSLM's reader, each full chunk of 4 s is encoded on its own. Only the frames after the last full chunk are encoded
        with everything before them; in a waveform of less than 4 s, these are all frames. If less than one frame follows the
        last full chunk, the reader repeats all frames, whereas this function adds none.
        """
        waveforms = [torch.as_tensor(waveform, device=self.device) for waveform in waveforms]
        features = []
        for waveform, states in zip(waveforms, self.model.hidden_states(waveforms, layer)):
            num_chunks, num_samples_left = divmod(len(waveform), CHUNK_SAMPLES)
            full_chunks = waveform.split(CHUNK_SAMPLES)[:num_chunks]
            parts = self.model.hidden_states(full_chunks, layer) if full_chunks else []
            num_frames_left = num_samples_left // (len(waveform) // len(states))
            parts.append(states[max(len(states) - num_frames_left, 0) :])
            features.append(torch.cat(parts).cpu().numpy())
        return features


def convert(tensors, sizes):
    """Convert the tensors of a published checkpoint (its entry `weights`).

    Args:
        tensors: dict from published name to tensor.
        sizes: dict of the fields of `CPCConfig`. LSTMs above `num_layers` are left out.

    Returns:
        A dict from our name to tensor, and the rows of a load report, with an empty name for what is left out.

    Raises:
        ValueError: if tensors are missing, unexpected or of another shape; the message lists them.
    """
    with torch.device("meta"):
        model = CPCModel(CPCConfig(**sizes))
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    names = {published: _our_name(published, sizes["num_layers"]) for published in tensors}
    return rename_tensors("cpc", names, tensors, shapes, sizes)


def keep_layers(settings, tensors, layer):
    """Return the settings and the tensors that the layers up to `layer` need."""
    return keep_blocks(settings, tensors, layer, "layers.")


def load(folder, device):
    """Return the encoder saved in `folder`."""
    model = CPCModel(sizes_from(read_settings(folder), CPCConfig))
    return CPC(load_weights(model, folder, assign=False), device)


def _our_name(published, num_layers):
    """Return our name of a published tensor; empty for LSTMs above `num_layers`, unchanged if it is not known.

    Examples: `gEncoder.conv0.bias` → `convs.0.bias`, `gAR.baseNet.bias_hh_l1` → `layers.1.bias_hh_l0`.
    """
    for module, pattern in PUBLISHED_NAMES.items():
        if match := re.fullmatch(pattern, published):
            if module != "layers":
                return f"{module}.{match[1]}.{match[2]}"
            return f"layers.{match[2]}.{match[1]}0" if int(match[2]) < num_layers else ""
    return published
