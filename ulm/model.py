"""The unit language model: a decoder-only transformer over units, as fairseq's `transformer_lm`.

Pre-LayerNorm with a final one, ReLU, sinusoidal positions that start at 2, embedding scale √d, tied embeddings. The
state-dict keys are fairseq's without the leading `decoder.`.
**Source:** Lakhotia et al. 2021 (GSLM), arXiv 2102.01192; fairseq `transformer_lm_big` is its largest preset.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from storage.files import read_json
from training.device import attention
from training.dropout import Dropout

FIRST_POSITION = 2  # fairseq: padding_idx + 1


@dataclass(frozen=True)
class UnitLMConfig:
    """Sizes of a unit LM. `vocabulary_size` counts the 4 specials."""

    vocabulary_size: int
    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int

    def to_dict(self):
        return asdict(self)


class Attention(nn.Module):
    """Multi-head self-attention whose keys and values may be preceded by a past (a prompt, or tokens decoded before)."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def heads(self, x):
        """`[B, T, D]` → `[B, H, T, D / H]`."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def keys_values(self, x, past=None):
        """Keys and values `[B, H, P + T, D / H]` of the past, if any, and of inputs `[B, T, D]`."""
        new = self.heads(self.k_proj(x)), self.heads(self.v_proj(x))
        return new if past is None else tuple(torch.cat([p.expand(len(x), -1, -1, -1), n], 2) for p, n in zip(past, new))

    def forward(self, x, past, mask):
        """`x` `[B, T, D]`, `past` None or (keys, values) `[B, H, P, D / H]`, boolean `mask` `[B or 1, 1, T, P + T]`.

        Returns the output `[B, T, D]` and the keys and values of past and tokens together. Without a past, `mask` may
        be None for plain causal attention.
        """
        keys, values = self.keys_values(x, past)
        out = attention(self.heads(self.q_proj(x)), keys, values, attn_mask=mask, is_causal=mask is None)
        return self.out_proj(out.transpose(1, 2).flatten(2)), (keys, values)


class Layer(nn.Module):
    """Pre-LayerNorm block: attention and feed-forward, each with a residual."""

    def __init__(self, config, dropout):
        super().__init__()
        self.self_attn = Attention(config.dim, config.num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)

    def forward(self, x, past, mask):
        attended, present = self.self_attn(self.self_attn_layer_norm(x), past, mask)
        x = x + self.dropout(attended)
        return x + self.dropout(self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))), present


class UnitLM(nn.Module):
    """The language model. `dropout` acts in training mode only; attention has none, which would cost a sixth of the training."""

    def __init__(self, config, dropout=0.0):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.dim)
        self.layers = nn.ModuleList(Layer(config, dropout) for _ in range(config.num_layers))
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)
        self.apply(_initialise)
        nn.init.normal_(self.embed_tokens.weight, std=config.dim**-0.5)

    def embed(self, tokens, start=0, separator=None):
        """Tokens `[B, T]` → inputs `[B, T, D]`. `start`: position of the first token, a number or `[B, 1]`.

        `separator`: None or (index, vector `[D]`): this vector stands for that token on the input side.
        """
        vectors = self.embed_tokens(tokens)
        if separator is not None:
            index, vector = separator
            vectors = torch.where((tokens == index)[..., None], vector, vectors)
        positions = start + torch.arange(tokens.shape[1], device=tokens.device)[None]
        return self.dropout(math.sqrt(self.config.dim) * vectors + sinusoids(positions, self.config.dim))

    def hidden(self, inputs, past=None, mask=None):
        """Inputs `[B, T, D]` → last hidden states `[B, T, D]` and per layer the keys and values, past included.

        `past`: per layer (keys, values) `[1 or B, H, P, D / H]`. Without `mask` every token sees all of the past, and of
        the tokens itself and those before.
        """
        x, presents = self._through(self.layers, inputs, past, mask)
        return self.layer_norm(x), presents

    def read(self, inputs, past=None):
        """Inputs `[B, T, D]` → per layer keys and values, past included, as of `hidden`; the last block computes no more."""
        x, presents = self._through(self.layers[:-1], inputs, past, None)
        last = self.layers[-1]
        return presents + [last.self_attn.keys_values(last.self_attn_layer_norm(x), past and past[-1])]

    def _through(self, layers, inputs, past, mask):
        if mask is None and past is not None:
            mask = causal_mask(inputs.shape[1], past[0][0].shape[2], inputs.device)
        x, presents = inputs, []
        for layer, layer_past in zip(layers, past or [None] * len(layers)):
            x, present = layer(x, layer_past, mask)
            presents.append(present)
        return x, presents

    def logits(self, hidden):
        """Hidden states `[…, D]` → logits `[…, V]` over the vocabulary; the output matrix is the embedding."""
        return F.linear(hidden, self.embed_tokens.weight)

    def forward(self, tokens, past=None, separator=None):
        """Tokens `[B, T]`, padded on the right → logits `[B, T, V]`. Tokens never see what stands right of them."""
        return self.logits(self.hidden(self.embed(tokens, separator=separator), past)[0])


def causal_mask(length, past_length, device):
    """Boolean `[1, 1, T, P + T]`: True where a token may look: all of the past, and the tokens up to itself."""
    return torch.ones(length, past_length + length, dtype=torch.bool, device=device).tril(past_length)[None, None]


def sinusoids(positions, dim):
    """Positions `[…]` (from 0) → `[…, dim]`: sines then cosines of position + 2 at geometric wavelengths, as fairseq."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * -(math.log(10_000) / (half - 1)))
    angles = (positions[..., None] + FIRST_POSITION).float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


def num_parameters(module):
    """Number of parameters of a module (tied ones once)."""
    return sum(p.numel() for p in module.parameters())


def load(model, config, device="cpu"):
    """The unit LM of `model` (safetensors) and `config` (JSON), in evaluation mode, frozen."""
    from safetensors.torch import load_file

    sizes = {name: value for name, value in read_json(config).items() if name in UnitLMConfig.__dataclass_fields__}
    lm = UnitLM(UnitLMConfig(**sizes))
    lm.load_state_dict(load_file(model))
    return lm.to(device).eval().requires_grad_(False)


def _initialise(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
