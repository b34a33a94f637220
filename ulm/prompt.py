"""Deep prompts: learned keys and values that stand before the tokens in every layer of a frozen unit LM.

A prompt is an object that yields keys and values; the model only accepts them. The ancestors overwrite the first rows of
every layer's key and value inputs instead; the logits are equal, as nothing reads the rows' residual stream.
**Source:** SpeechPrompt, arXiv 2203.16773, section 3; prefix tuning, arXiv 2101.00190.
"""

import torch
from torch import nn

from ulm.build_vocabulary import PAD, SEPARATOR

SCOPES = ("all", "target")


class DeepPrompt(nn.Module):
    """Vectors `[layers, length, D]` for keys and for values, and the input vector `[D]` of the separator `<s>`.

    Trained parameters: (2 · layers · length + 1) · D, for 4 layers, length 5 and D = 192: 7,872.
    """

    def __init__(self, config, length, dropout=0.0):
        """The vectors start from N(0, 1), the separator from N(0, 1 / D) as an embedding does."""
        super().__init__()
        self.keys = nn.Parameter(torch.randn(config.num_layers, length, config.dim))
        self.values = nn.Parameter(torch.randn(config.num_layers, length, config.dim))
        self.separator = nn.Parameter(torch.randn(config.dim) * config.dim**-0.5)
        self.dropout = nn.Dropout(dropout)

    def past(self, lm):
        """Per layer of `lm`: keys and values `[1, H, length, D / H]`, through its own projections."""
        pairs = zip(lm.layers, self.dropout(self.keys)[:, None], self.dropout(self.values)[:, None])
        return [(a.heads(a.k_proj(k)), a.heads(a.v_proj(v))) for a, k, v in ((layer.self_attn, k, v) for layer, k, v in pairs)]


class InputPrompt(nn.Module):
    """Vectors `[length, D]` that stand before the tokens at the input alone, and the input vector `[D]` of `<s>`.

    They take no position and no embedding scale, and pass through every layer. Trained parameters: (length + 1) · D.
    **Source:** prompt tuning, arXiv 2104.08691; SpeechPrompt, arXiv 2203.16773, without its deep prompts.
    """

    def __init__(self, config, length):
        """The vectors start from N(0, 1), the separator from N(0, 1 / D) as an embedding does."""
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(length, config.dim))
        self.separator = nn.Parameter(torch.randn(config.dim) * config.dim**-0.5)

    def past(self, lm):
        """Per layer of `lm`: keys and values `[1, H, length, D / H]`, each vector having seen those before it."""
        return lm.read(self.vectors[None])


def prepend(own, read):
    """Per layer keys and values of a prompt `[1 or B, H, P, D / H]` before those of a source `[B, H, T, D / H]`."""
    return [tuple(torch.cat([p.expand(len(r), -1, -1, -1), r], 2) for p, r in zip(*pair)) for pair in zip(own, read)]


def read_alone(lm, sources):
    """Per layer keys and values `[B, H, T, D / H]` of sources `</s> u1 … uN` `[B, T]` without a prompt, without gradients."""
    with torch.no_grad():
        return lm.read(lm.embed(sources))


def read_source(lm, prompt, sources, scope, read=None):
    """What targets may look at after sources `</s> u1 … uN` `[B, T]`: keys and values, and their visibility.

    scope `all`: the source is read under the prompt, as in the papers. `target`: the source is read without it (`read`,
    from `read_alone`, where that was done before), and only `<s>` and what follows look at the prompt; no gradient passes
    the source, and its keys and values fit every task.
    Returns per layer (keys, values) `[B, H, P + T]` and a boolean mask `[B, P + T]` over them.
    """
    own = prompt.past(lm)
    past = lm.read(lm.embed(sources), own) if scope == "all" else prepend(own, read or read_alone(lm, sources))
    visible = torch.cat([sources.new_ones(len(sources), own[0][0].shape[2]), sources != PAD], 1).bool()
    return past, visible


def target_logits(lm, separator, targets, starts, past, visible):
    """Logits `[B, L, V]` after each of the targets `[B, L]` (`<s> y1 …` or a later part), and the longer past.

    separator: `[D]` or `[B, 1, D]`, the input vector of `<s>`; starts: `[B, 1]`, position of the first target; past and
    visible (of the past alone) as from `read_source`.
    """
    size, length = targets.shape
    inputs = lm.embed(targets, starts, (SEPARATOR, separator))
    own = torch.ones(length, length, dtype=torch.bool, device=targets.device).tril()
    mask = torch.cat([visible[:, None].expand(-1, length, -1), own.expand(size, -1, -1)], 2)
    hidden, past = lm.hidden(inputs, past, mask[:, None])
    return lm.logits(hidden), past


def parallel_separator_logits(lm, own, separators, read, visible):
    """Logits `[B, M, V]` after M different `<s>` behind each source; none of them sees another, each has its own prompt.

    own: per layer keys and values `[B, H, M · P, D / H]`, one prompt after another; separators `[B, M, D]`; read and
    visible `[B, T]`: keys and values of the sources, and which of them are real.
    """
    size, slots = separators.shape[:2]
    starts = visible.sum(1, keepdim=True).repeat_interleave(slots, 0)
    tokens = torch.full_like(starts, SEPARATOR)
    inputs = lm.embed(tokens, starts, (SEPARATOR, separators.flatten(0, 1)[:, None])).view(size, slots, -1)
    each = torch.eye(slots, dtype=torch.bool, device=visible.device).expand(size, -1, -1)
    prompts = each.repeat_interleave(own[0][0].shape[2] // slots, 2)
    mask = torch.cat([prompts, visible[:, None].expand(-1, slots, -1), each], 2)
    return lm.logits(lm.hidden(inputs, prepend(own, read), mask[:, None])[0])
