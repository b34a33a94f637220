"""CPC as GSLM uses it: convolutions over the waveform, then LSTMs over their frames, 100 a second.

Layer 0 is the output of the convolutions, layer i that of the i-th LSTM; GSLM's units are of layer 2.
**Source:** Rivière et al. 2020, arXiv 2002.02848; Lakhotia et al. 2021 (GSLM), arXiv 2102.01192, and fairseq's
`CpcFeatureReader`, whose pieces of 4 s are kept, as its units depend on them.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from storage.files import read_json
from storage.untrusted.renaming import rename_tensors

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
KERNELS, STRIDES, PADDINGS = (10, 8, 4, 4, 4), (5, 4, 2, 2, 2), (3, 2, 1, 1, 1)
MARGIN_SAMPLES = 2 * HOP_SAMPLES  # a frame sees 153 samples before its hop and 311 from there on
PIECE_SAMPLES = 64_000  # 4 s: GSLM's reader starts anew this often
SOURCES = {
    "convs": r"gEncoder\.conv(\d+)\.(\w+)",
    "norms": r"gEncoder\.batchNorm(\d+)\.(\w+)",
    "layers": r"gAR\.baseNet\.(\w+_l)(\d+)",
}


@dataclass(frozen=True)
class CPCConfig:
    """Sizes. `conv_dim`: channels of the convolutions; `dim`: of the LSTMs."""

    conv_dim: int
    dim: int
    num_layers: int


class ChannelNorm(nn.Module):
    """`[B, C, T]` → each frame with mean 0 and (unbiased) variance 1 over its channels, scaled and shifted."""

    def __init__(self, dim):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1, dim, 1)), nn.Parameter(torch.zeros(1, dim, 1))

    def forward(self, x):
        variance, mean = torch.var_mean(x, 1, keepdim=True)
        return (x - mean) * torch.rsqrt(variance + 1e-5) * self.weight + self.bias


class CPCModel(nn.Module):
    """Waveform → frames → hidden states."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        shapes = zip((1, *[config.conv_dim] * 4), KERNELS, STRIDES, PADDINGS)
        self.convs = nn.ModuleList(nn.Conv1d(i, config.conv_dim, k, s, p) for i, k, s, p in shapes)
        self.norms = nn.ModuleList(ChannelNorm(config.conv_dim) for _ in KERNELS)
        dims = [config.conv_dim] + [config.dim] * config.num_layers
        self.layers = nn.ModuleList(nn.LSTM(i, o, batch_first=True) for i, o in pairwise(dims))

    def convolve(self, waveform):
        """Waveform `[N]` → frames `[(N + 1) // 160, conv_dim]`."""
        x = waveform[None, None]
        for conv, norm in zip(self.convs, self.norms):
            x = torch.relu(norm(conv(x)))
        return x[0].T

    def frames(self, waveform):
        """The same as `convolve` in pieces that overlap: memory of 4 s however long the waveform is."""
        parts = []
        for start in range(0, len(waveform), PIECE_SAMPLES):
            first = max(start - MARGIN_SAMPLES, 0)
            part = self.convolve(waveform[first : start + PIECE_SAMPLES + MARGIN_SAMPLES])
            parts.append(part[(start - first) // HOP_SAMPLES :][: PIECE_SAMPLES // HOP_SAMPLES])
        return torch.cat(parts)

    def states(self, waveforms, layer):
        """List of waveforms `[N_i]` → list of states `[T_i, dim]`. LSTMs look back only, so padding on the right is unseen."""
        frames = [self.frames(waveform) for waveform in waveforms]
        x = nn.utils.rnn.pad_sequence(frames, batch_first=True)
        for lstm in self.layers[:layer]:
            x, _ = lstm(x)
        return [row[: len(f)] for row, f in zip(x, frames)]


class CPC:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate, hop_length = SAMPLE_RATE_HZ, HOP_SAMPLES

    def __init__(self, model, device):
        self.model, self.device = model.to(device).eval(), device
        self.dim, self.num_layers = model.config.dim, model.config.num_layers

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`. GSLM's reader encodes each whole 4 s by itself; only the frames of what is left over
        (all, of a shorter waveform) have heard everything before. Where that is less than a frame the reader repeats all
        frames; here none is added.
        """
        waveforms = [torch.as_tensor(waveform, device=self.device) for waveform in waveforms]
        found = []
        for waveform, whole in zip(waveforms, self.model.states(waveforms, layer)):
            num_pieces, rest = divmod(len(waveform), PIECE_SAMPLES)
            pieces = self.model.states(waveform.split(PIECE_SAMPLES)[:num_pieces], layer) if num_pieces else []
            tail = rest // (len(waveform) // len(whole))
            found.append(torch.cat([*pieces, whole[max(len(whole) - tail, 0) :]]).cpu().numpy())
        return found


def convert(tensors, sizes):
    """Tensors by the names under a checkpoint's `weights` → by ours, and rows (source, name, shape, dtype) of a load report.

    sizes: the fields of `CPCConfig`. LSTMs above `num_layers` are left out (their rows have an empty name).
    Raises `ValueError` that lists missing, unexpected and wrongly shaped tensors.
    """
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in CPCModel(CPCConfig(**sizes)).state_dict().items()}
    names = {source: _our_name(source, sizes["num_layers"]) for source in tensors}
    return rename_tensors("cpc", names, tensors, wanted, sizes)


def load(folder, device):
    """The encoder in `folder`."""
    from safetensors.torch import load_file

    folder = Path(folder)
    settings = read_json(folder / "config.json")
    model = CPCModel(CPCConfig(**{name: settings[name] for name in CPCConfig.__dataclass_fields__}))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return CPC(model, device)


def _our_name(source, num_layers):
    """`gEncoder.conv0.bias` → `convs.0.bias`, `gAR.baseNet.bias_hh_l1` → `layers.1.bias_hh_l0`; no longer needed: empty."""
    for part, pattern in SOURCES.items():
        if match := re.fullmatch(pattern, source):
            if part != "layers":
                return f"{part}.{match[1]}.{match[2]}"
            return f"layers.{match[2]}.{match[1]}0" if int(match[2]) < num_layers else ""
    return source
