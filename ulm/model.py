"""The unit language model: a decoder-only transformer over units, equal to fairseq's `transformer_lm`.

Pre-LayerNorm blocks and a final LayerNorm, ReLU, sinusoidal positions that start at 2, embeddings scaled by √d, tied input
and output embeddings. The state-dict keys are fairseq's without the leading `decoder.`.

**Source:** Lakhotia et al. 2021 (GSLM), arXiv 2102.01192, whose unit LMs use the preset `transformer_lm_big`.
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from storage.files import read_json
from training.device import attention
from training.dropout import Dropout
from ulm.prompt import DeepPrompt, InputPrompt

FIRST_POSITION = 2  # fairseq: padding_idx + 1


@dataclass(frozen=True)
class UnitLMConfig:
    """Sizes of a unit LM. `vocabulary_size` includes the 4 special symbols."""

    vocabulary_size: int
    num_layers: int
    dim: int
    ffn_dim: int
    num_heads: int

    def to_dict(self):
        """Return the sizes by name."""
        return asdict(self)


class Attention(nn.Module):
    """Multi-head self-attention. Keys and values of the past (a prompt or earlier tokens) may precede those of the input."""

    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def heads(self, x):
        """Split `[B, T, D]` into heads `[B, H, T, D / H]`."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def key_values(self, x, past=None):
        """Return the keys and values `[B, H, P + T, D / H]` of an optional past and of inputs `[B, T, D]`."""
        keys = self.heads(self.k_proj(x))
        values = self.heads(self.v_proj(x))
        if past is None:
            return keys, values
        past_keys, past_values = (tensor.expand(len(x), -1, -1, -1) for tensor in past)
        return torch.cat([past_keys, keys], 2), torch.cat([past_values, values], 2)

    def forward(self, x, past, mask):
        """Attend from each input to the past and to the inputs.

        Args:
            x: inputs `[B, T, D]`.
            past: None, or keys and values `[1 or B, H, P, D / H]`.
            mask: boolean `[1 or B, 1, T, P + T]`, True where attention is allowed; None for causal attention without a past.

        Returns:
            The output `[B, T, D]`, and the keys and values `[B, H, P + T, D / H]` of past and inputs together.
        """
        keys, values = self.key_values(x, past)
        out = attention(self.heads(self.q_proj(x)), keys, values, attn_mask=mask, is_causal=mask is None)
        return self.out_proj(out.transpose(1, 2).flatten(2)), (keys, values)


class Layer(nn.Module):
    """Pre-LayerNorm block: self-attention and feed-forward layers, each with a residual connection."""

    def __init__(self, config, dropout):
        super().__init__()
        self.self_attn = Attention(config.dim, config.num_heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)

    def forward(self, x, past, mask):
        """Transform `[B, T, D]`. Arguments and return values are those of `Attention.forward`."""
        attended, key_values = self.self_attn(self.self_attn_layer_norm(x), past, mask)
        x = x + self.dropout(attended)
        return x + self.dropout(self.fc2(F.relu(self.fc1(self.final_layer_norm(x))))), key_values


class LoRAUpdate(nn.Module):
    """Parametrization of a weight `[out, in]` as weight + B A, with A `[rank, in]` random and B `[out, rank]` zero at first.

    **Source:** LoRA, arXiv 2106.09685, equation 3, with α = r.
    """

    def __init__(self, weight, rank):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, weight.shape[1]) * weight.shape[1] ** -0.5)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight):
        """Return the updated weight `[out, in]`."""
        return weight + self.b @ self.a


class UnitLM(nn.Module):
    """The language model. It has the members of `ulm.causal_lm.CausalLM`.

    Dropout acts in training mode only. The attention weights have none, because it would cost a sixth of the training time.

    In all methods, `past_key_values` is None or a list with one pair of keys and values `[1 or B, H, P, D / H]` per layer.
    """

    max_positions = math.inf  # sinusoids have no end

    def __init__(self, config, dropout=0.0):
        super().__init__()
        self.config = config
        self.vocabulary_size = config.vocabulary_size
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.dim)
        self.layers = nn.ModuleList(Layer(config, dropout) for _ in range(config.num_layers))
        self.layer_norm = nn.LayerNorm(config.dim)
        self.dropout = Dropout(dropout)
        self.apply(_initialise)
        nn.init.normal_(self.embed_tokens.weight, std=config.dim**-0.5)

    def embed(self, tokens, start=0, separator=None):
        """Return the inputs `[B, T, D]` of tokens `[B, T]`: embeddings plus positions.

        Args:
            tokens: vocabulary indices `[B, T]`.
            start: position of the first token, an integer or `[B, 1]`.
            separator: None, or a pair of a vocabulary index and the vector `[D]` that replaces its embedding.
        """
        vectors = self.embed_tokens(tokens)
        if separator is not None:
            index, vector = separator
            vectors = torch.where((tokens == index)[..., None], vector, vectors)
        positions = start + torch.arange(tokens.shape[1], device=tokens.device)[None]
        return self.dropout(math.sqrt(self.config.dim) * vectors + sinusoids(positions, self.config.dim))

    def hidden(self, inputs, past_key_values=None, mask=None):
        """Return the last hidden states `[B, T, D]` of inputs `[B, T, D]`, and the keys and values of past and inputs.

        Args:
            inputs: `[B, T, D]`, such as those of `embed`.
            past_key_values: see the class.
            mask: boolean `[1 or B, 1, T, P + T]`, True where attention is allowed. By default, each input attends to the
                whole past, to the inputs before it and to itself.
        """
        x, key_values = self._through(self.layers, inputs, past_key_values, mask)
        return self.layer_norm(x), key_values

    def key_values(self, inputs, past_key_values=None):
        """Return only the keys and values of `hidden`. In the last layer, nothing else is computed."""
        x, key_values = self._through(self.layers[:-1], inputs, past_key_values, None)
        last = self.layers[-1]
        last_past = past_key_values and past_key_values[-1]
        return key_values + [last.self_attn.key_values(last.self_attn_layer_norm(x), last_past)]

    def _through(self, layers, inputs, past_key_values, mask):
        """Return the output of the layers, and their keys and values."""
        if mask is None and past_key_values is not None:
            mask = causal_mask(inputs.shape[1], past_key_values[0][0].shape[2], inputs.device)
        x = inputs
        key_values = []
        for layer, past in zip(layers, past_key_values or [None] * len(layers)):
            x, layer_key_values = layer(x, past, mask)
            key_values.append(layer_key_values)
        return x, key_values

    def logits(self, hidden):
        """Return the logits `[…, V]` of hidden states `[…, D]`. The output matrix is the embedding."""
        return F.linear(hidden, self.embed_tokens.weight)

    def new_prompt(self, kind, length, dropout=0.0):
        """Return a new prompt: a `DeepPrompt` for the kind `deep`, an `InputPrompt` (without dropout) for `input`."""
        return DeepPrompt(self.config, length, dropout) if kind == "deep" else InputPrompt(self.config, length)

    def add_low_rank_updates(self, rank):
        """Add trained updates of a rank to every query and value projection, see `LoRAUpdate`."""
        for layer in self.layers:
            for projection in (layer.self_attn.q_proj, layer.self_attn.v_proj):
                parametrize.register_parametrization(projection, "weight", LoRAUpdate(projection.weight, rank))

    def forward(self, tokens, past_key_values=None, separator=None):
        """Return the logits `[B, T, V]` of tokens `[B, T]`, which are padded on the right. No token attends to later ones."""
        return self.logits(self.hidden(self.embed(tokens, separator=separator), past_key_values)[0])


def causal_mask(length, past_length, device):
    """Return a boolean mask `[1, 1, T, P + T]`: each token attends to the whole past, to earlier tokens and to itself."""
    return torch.ones(length, past_length + length, dtype=torch.bool, device=device).tril(past_length)[None, None]


def sinusoids(positions, dim):
    """Return the embeddings `[…, dim]` of positions `[…]`, which count from 0, as in fairseq.

    They are sines, then cosines, of position + 2 at wavelengths that form a geometric series.
    """
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=positions.device) * -(math.log(10_000) / (half - 1)))
    angles = (positions[..., None] + FIRST_POSITION).float() * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


def num_parameters(module):
    """Return the number of parameters of a module; tied ones count once."""
    return sum(p.numel() for p in module.parameters())


def load(model, config, device="cpu"):
    """Load a unit LM, frozen and in evaluation mode.

    Args:
        model: safetensors file of its weights.
        config: JSON file of its sizes.
        device: device to load it to.

    Returns:
        A `UnitLM`.
    """
    from safetensors.torch import load_file

    sizes = {name: value for name, value in read_json(config).items() if name in UnitLMConfig.__dataclass_fields__}
    lm = UnitLM(UnitLMConfig(**sizes))
    lm.load_state_dict(load_file(model))
    return lm.to(device).eval().requires_grad_(False)


def _initialise(module):
    """Initialize a linear layer as fairseq does."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
