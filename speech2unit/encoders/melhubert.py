"""MelHuBERT: a transformer over log-Mel frames, pre-trained by masked prediction of pseudo-labels.

**Source:** MelHuBERT, arXiv 2211.09944; at 20 ms, 12 layers, 768 dims, 12 heads and 512 targets it has the published
90,231,424 parameters. Deviations that the settings choose: several sets of targets, another front end.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.compressed_layers import resize
from speech2unit.device import attention
from speech2unit.encoders.log_mel import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ, load_front_end
from speech2unit.files import read_json
from speech2unit.weights import load_tensors


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


class Block(nn.Module):
    """Post-LayerNorm transformer block."""

    def __init__(self, config, dropout):
        super().__init__()
        self.num_heads, self.heads = config.num_heads, None  # numbers of the heads that pruning has left; None: all
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(config.dim, config.dim) for _ in range(4))
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1, self.fc2 = nn.Linear(config.dim, config.ffn_dim), nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(dropout)

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
        self.post_extract_proj = nn.Linear(2 * NUM_MELS, config.dim)
        conv = nn.Conv1d(config.dim, config.dim, config.conv_kernel, padding=config.conv_kernel // 2, groups=config.conv_groups)
        nn.init.normal_(conv.weight, std=(4 * (1 - dropout) / (config.conv_kernel * config.dim)) ** 0.5)
        nn.init.zeros_(conv.bias)
        self.pos_conv = nn.utils.parametrizations.weight_norm(conv, dim=2)
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Block(config, dropout) for _ in range(config.num_layers))
        self.final_proj = nn.ModuleList(nn.Linear(config.dim, size) for size in config.num_targets)

    def hidden_states(self, frames, lengths=None, last_layer=None):
        """Frames `[B, T, 80]` → list of `[B, T, D]`: input of the first block, then the output of each up to `last_layer`.

        `lengths` `[B]`: real frames of each row; nothing that a row yields depends on what pads it.
        """
        real = None if lengths is None else torch.arange(frames.shape[1], device=frames.device)[None] < lengths[:, None]
        x = self.post_extract_proj(frames)
        if real is not None:
            x = x * real[..., None]
        positions = self.pos_conv(x.transpose(1, 2))[..., : frames.shape[1]].transpose(1, 2)
        states = [self.dropout(self.layer_norm(x + F.gelu(positions)))]
        visible = None if real is None else real[:, None, None]
        for layer in self.layers[:last_layer]:
            states.append(layer(states[-1], visible))
        return states

    def forward(self, frames, lengths=None):
        """Frames `[B, T, 80]` → logits `[B, T, K]` over each set of targets."""
        last = self.hidden_states(frames, lengths)[-1]
        return [head(last) for head in self.final_proj]


class MelHuBERT:
    """The encoder; see `speech2unit.encoders.Encoder`."""

    sample_rate, hop_length = SAMPLE_RATE_HZ, HOP_SAMPLES

    def __init__(self, model, front_end, device):
        self.model, self.front_end, self.device = model.to(device).eval(), front_end, device
        self.dim, self.num_layers = model.config.dim, model.config.num_layers

    def hidden_states(self, waveforms, last_layer=None):
        """Waveforms → hidden states `[B, T, D]` of layers 0 to `last_layer`, and how many frames of each row are real `[B]`."""
        frames = [self.front_end(waveform) for waveform in waveforms]
        lengths = torch.tensor([len(f) for f in frames])
        batch = nn.utils.rnn.pad_sequence(frames, batch_first=True).to(self.device)
        real = lengths.to(self.device) if len(frames) > 1 else None
        return self.model.hidden_states(batch, real, last_layer), lengths

    @torch.no_grad()
    def features(self, waveforms, layer):
        """See `Encoder.features`; layer 0 is the input of the first block."""
        states, lengths = self.hidden_states(waveforms, layer)
        return [state[:length] for state, length in zip(states[layer].cpu().numpy(), lengths)]


def read_model(folder):
    """The `MelHuBERTModel` in `folder`, to be used or trained on."""
    settings, tensors = read_json(folder / "config.json"), load_tensors(folder / "model.safetensors")
    sizes = {name: settings[name] for name in MelHuBERTConfig.__dataclass_fields__}
    model = resize(MelHuBERTModel(MelHuBERTConfig(**sizes)), settings.get("layers", []))
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if name not in ("mean", "std")})
    return model


def load(folder, device):
    """The encoder in `folder`."""
    front_end = load_front_end(folder / "model.safetensors", folder / "config.json")
    return MelHuBERT(read_model(folder), front_end, device)
