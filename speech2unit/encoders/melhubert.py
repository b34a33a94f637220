"""MelHuBERT: a transformer over log-Mel frames, pre-trained by masked prediction of pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944; at 20 ms, 12 layers, 768 dims, 12 heads and 512 targets it has the published
90,231,424 parameters. Deviations that the settings choose: several sets of targets, another front end. Checkpoints of its
authors: `speech2unit/melhubert_names.py`.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit import pieces
from speech2unit.compressed_layers import resize
from speech2unit.device import attention
from speech2unit.dropout import Dropout
from speech2unit.encoders.log_mel import NUM_MELS, SAMPLE_RATE_HZ, load_front_end
from speech2unit.files import read_json
from speech2unit.melhubert_names import convert
from speech2unit.weights import load_tensors

__all__ = ["MelHuBERT", "MelHuBERTConfig", "MelHuBERTModel", "convert", "load"]


@dataclass(frozen=True)
class MelHuBERTConfig:
    """Sizes. `num_targets`: pseudo-labels in each set; `conv_kernel`: frames that the positional convolution sees."""

    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int
    conv_kernel: int
    conv_groups: int
    num_targets: tuple
    frame_ms: int = 20  # 10: frames of 40 log-Mel bins; 20: two of them, 80


class Block(nn.Module):
    """Post-LayerNorm transformer block."""

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads, self.heads = config.num_heads, None  # numbers of the heads that pruning has left; None: all
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1, self.fc2 = nn.Linear(config.dim, config.ffn_dim), nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)

    def forward(self, x, visible):
        """`x` `[B, T, D]`; boolean `visible` `[B, 1, 1, T]` or None: the frames that attention may look at."""
        q, k, v = (p(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        attended = attention(q, k, v, attn_mask=visible).transpose(1, 2).flatten(2)
        x = self.self_attn_layer_norm(x + self.dropout(self.out_proj(attended)))
        return self.final_layer_norm(x + self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x))))))


class MelHuBERTModel(nn.Module):
    """Frames → hidden states → logits over each set of pseudo-labels."""

    def __init__(self, config, dropout=0.0):
        super().__init__()
        self.config = config
        self.post_extract_proj = nn.Linear(NUM_MELS * config.frame_ms // 10, config.dim)
        conv = nn.Conv1d(config.dim, config.dim, config.conv_kernel, padding=config.conv_kernel // 2, groups=config.conv_groups)
        nn.init.normal_(conv.weight, std=(4 * (1 - dropout) / (config.conv_kernel * config.dim)) ** 0.5)
        nn.init.zeros_(conv.bias)
        self.pos_conv = nn.utils.parametrizations.weight_norm(conv, dim=2)
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))
        self.final_proj = nn.ModuleList(nn.Linear(config.dim, size) for size in config.num_targets)

    def hidden_states(self, frames, lengths=None, last_layer=None):
        """Frames `[B, T, 80]` (of 10 ms: 40) → list of `[B, T, D]`: input of the first block, then the output of each up to `last_layer`.

        `lengths` `[B]`: real frames of each row; nothing that a row yields depends on what pads it.
        """
        real = None if lengths is None else torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None]
        states = [self.embed(self.post_extract_proj(frames), real)]
        for step in self.steps(real, last_layer):
            states.append(step(states[-1]))
        return states

    def embed(self, x, real=None):
        """Projected frames `[B, T, D]` → the first block's input; boolean `real` `[B, T]` or None: frames that are not padding."""
        if real is not None:
            x = x * real[..., None]
        positions = self.pos_conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)
        return self.dropout(self.layer_norm(x + F.gelu(positions)))

    def steps(self, real=None, last_layer=None):
        """The blocks up to `last_layer` as functions `[B, T, D]` → `[B, T, D]`."""
        visible = None if real is None else real[:, None, None]
        return [partial(layer, visible=visible) for layer in self.layers[:last_layer]]

    def forward(self, frames, lengths=None):
        """Frames `[B, T, 80]` → logits `[B, T, K]` over each set of targets."""
        last = self.hidden_states(frames, lengths)[-1]
        return [head(last) for head in self.final_proj]


class MelHuBERT:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, front_end, device):
        self.model, self.front_end, self.device = model.to(device).eval(), front_end, device
        self.dim, self.num_layers, self.hop_length = model.config.dim, model.config.num_layers, front_end.hop_length

    def hidden_states(self, waveforms, last_layer=None):
        """Waveforms → hidden states `[B, T, D]` of layers 0 to `last_layer`, and how many frames of each row are real `[B]`."""
        return self._states([self.front_end(waveform) for waveform in waveforms], last_layer)

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`; layer 0 is the input of the first block."""
        frames = [self.front_end(waveform) for waveform in waveforms]
        if max(map(len, frames)) > pieces.MAX_FRAMES:
            return [pieces.in_pieces(f, lambda piece: self._states([piece], layer)[0][layer][0].cpu()).numpy() for f in frames]
        states, lengths = self._states(frames, layer)
        return [state[:length] for state, length in zip(states[layer].cpu().numpy(), lengths)]

    def _states(self, frames, last_layer):
        """As `hidden_states`, of the front end's frames."""
        lengths = torch.tensor([len(f) for f in frames])
        batch = nn.utils.rnn.pad_sequence(frames, batch_first=True).to(self.device)
        real = lengths.to(self.device) if len(frames) > 1 else None
        return self.model.hidden_states(batch, real, last_layer), lengths


class MelHuBERTTrunk(nn.Module):
    """See `speech2unit.encoders.Trunk`."""

    sample_rate = SAMPLE_RATE_HZ

    def __init__(self, model, front_end):
        super().__init__()
        model.final_proj = nn.ModuleList()  # logits of pre-training
        self.model, self.front_end, self.blocks = model.eval(), front_end, list(dict.fromkeys(model.layers))
        self.dim, self.num_layers, self.hop_length = (
            model.config.dim,
            len(model.layers),
            model.config.frame_ms * SAMPLE_RATE_HZ // 1000,
        )

    def frames(self, waveform):
        """See `Trunk.frames`."""
        projection = self.model.post_extract_proj
        return projection(self.front_end(waveform.cpu()).to(projection.weight.device))

    def embed(self, x, real):
        """See `Trunk.embed`."""
        return self.model.embed(x, real)

    def steps(self, x, real):
        """See `Trunk.steps`."""
        return self.model.steps(real)


def load(folder, device):
    """The encoder in `folder`."""
    return MelHuBERT(read_model(folder), read_front_end(folder), device)


def load_trunk(folder):
    """The encoder in `folder` as a `Trunk`."""
    return MelHuBERTTrunk(read_model(folder), read_front_end(folder))


def read_model(folder):
    """The `MelHuBERTModel` in `folder`, to be used or trained on."""
    settings, tensors = read_json(Path(folder) / "config.json"), load_tensors(Path(folder) / "model.safetensors")
    sizes = {name: settings[name] for name in MelHuBERTConfig.__dataclass_fields__ if name in settings}
    model = resize(MelHuBERTModel(MelHuBERTConfig(**sizes)), settings.get("layers", []))
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in ("mean", "std")})
    return model


def read_front_end(folder):
    """The front end in `folder`."""
    return load_front_end(Path(folder) / "model.safetensors", Path(folder) / "config.json")
