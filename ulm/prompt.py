"""Prompts of a frozen unit LM: learned keys and values that precede the tokens in every layer.

A prompt is a module that returns keys and values. The unit LM takes them as `past_key_values`, so it needs no change.
A prompt has three members: `key_values(lm)`, keys and values for each layer; `separator`, the input vector of `<s>`, or None if
`<s>` keeps its embedding; and `num_positions`, how many positions the tokens that attend to it come after. The classes here are
for our own unit LM; those for models of the library transformers are in `ulm/transformers_lm.py`.

SpeechPrompt instead overwrites the first rows of the key and value inputs of every layer. The logits are equal, because nothing
reads the hidden states of these rows.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.

**Source:** SpeechPrompt, arXiv 2203.16773, section 3; prefix tuning, arXiv 2101.00190.
"""

import torch
from torch import nn

from ulm.vocabulary import PAD, SEPARATOR


class DeepPrompt(nn.Module):
    """Vectors `[layers, length, D]` for keys and for values, and the input vector `[D]` of the separator `<s>`.

    The prompt has (2 · layers · length + 1) · D parameters: 7,872 with 4 layers, length 5 and D = 192.
    """

    num_positions = 0

    def __init__(self, config, length, dropout=0.0):
        """Draw the vectors from N(0, 1) and the separator from N(0, 1 / D), as an embedding."""
        super().__init__()
        self.keys = nn.Parameter(torch.randn(config.num_layers, length, config.dim))
        self.values = nn.Parameter(torch.randn(config.num_layers, length, config.dim))
        self.separator = nn.Parameter(torch.randn(config.dim) * config.dim**-0.5)
        self.dropout = nn.Dropout(dropout)

    def key_values(self, lm):
        """Return keys and values `[1, H, length, D / H]` for each layer of `lm`, made by the layer's own projections."""
        key_inputs = self.dropout(self.keys)[:, None]
        value_inputs = self.dropout(self.values)[:, None]
        pairs = []
        for layer, key_input, value_input in zip(lm.layers, key_inputs, value_inputs):
            attention = layer.self_attn
            keys = attention.heads(attention.k_proj(key_input))
            values = attention.heads(attention.v_proj(value_input))
            pairs.append((keys, values))
        return pairs


class InputPrompt(nn.Module):
    """Vectors `[length, D]` that precede the tokens at the input alone, and the input vector `[D]` of the separator `<s>`.

    The vectors get no position and are not scaled as embeddings are, and they pass through every layer. The prompt has
    (length + 1) · D parameters.

    **Source:** prompt tuning, arXiv 2104.08691; SpeechPrompt, arXiv 2203.16773, without its deep prompts.
    """

    num_positions = 0

    def __init__(self, config, length):
        """Draw the vectors from N(0, 1) and the separator from N(0, 1 / D), as an embedding."""
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(length, config.dim))
        self.separator = nn.Parameter(torch.randn(config.dim) * config.dim**-0.5)

    def key_values(self, lm):
        """Return keys and values `[1, H, length, D / H]` for each layer of `lm`. Each vector attends to those before it."""
        return lm.key_values(self.vectors[None])


def prepend(prompt_key_values, source_key_values):
    """Return, for each layer, the keys and values of a prompt followed by those of a source.

    Args:
        prompt_key_values: one pair `[1 or B, H, P, D / H]` per layer.
        source_key_values: one pair `[B, H, T, D / H]` per layer.
    """
    joined = []
    for prompt_pair, source_pair in zip(prompt_key_values, source_key_values):
        joined.append(
            tuple(
                torch.cat([prompt.expand(len(source), -1, -1, -1), source], 2) for prompt, source in zip(prompt_pair, source_pair)
            )
        )
    return joined


def read_without_prompt(lm, sources):
    """Return the keys and values `[B, H, T, D / H]` per layer of sources `</s> u1 … uN` `[B, T]`, without gradients."""
    with torch.no_grad():
        return lm.key_values(lm.embed(sources))


def read_source(lm, prompt, sources, scope, source_key_values=None):
    """Read the sources, and return what the targets attend to: keys and values of prompt and source, and a mask over them.

    Args:
        lm: the unit LM.
        prompt: a prompt of this unit LM.
        sources: `</s> u1 … uN` `[B, T]`, padded on the right.
        scope: which tokens attend to the prompt. `all`: the source and the target, as in the papers. `target`: only the target,
            that is `<s>` and the tokens after it. Then the source is read without the prompt, no gradient passes through it,
            and its keys and values are the same for every prompt.
        source_key_values: the result of `read_without_prompt`, if it has been computed already; for scope `target`.

    Returns:
        One pair of keys and values `[B, H, P + T, D / H]` per layer; the boolean `attention_mask` `[B, P + T]`, which is False
        at padding; and the position of the token after each source, `[B, 1]`.
    """
    prompt_key_values = prompt.key_values(lm)
    starts = (sources != PAD).sum(1, keepdim=True)
    if scope == "all":
        starts = starts + prompt.num_positions
        key_values = lm.key_values(lm.embed(sources, prompt.num_positions), prompt_key_values)
    else:
        key_values = prepend(prompt_key_values, source_key_values or read_without_prompt(lm, sources))
    prompt_length = prompt_key_values[0][0].shape[2]
    attention_mask = torch.cat([sources.new_ones(len(sources), prompt_length), sources != PAD], 1).bool()
    return key_values, attention_mask, starts


def target_logits(lm, separator, targets, starts, past_key_values, attention_mask):
    """Return the logits `[B, L, V]` after each target token, and the keys and values of the past and the targets.

    Args:
        lm: the unit LM.
        separator: input vector of `<s>`, `[D]` or `[B, 1, D]`; None: its embedding.
        targets: tokens `[B, L]`: `<s> y1 …` or a later part of it.
        starts: position of the first token of each target, `[B, 1]`.
        past_key_values: keys and values of prompt and source, as `read_source` returns them.
        attention_mask: boolean `[B, P + T]` over the past.
    """
    size, length = targets.shape
    inputs = lm.embed(targets, starts, None if separator is None else (SEPARATOR, separator))
    causal = torch.ones(length, length, dtype=torch.bool, device=targets.device).tril()
    mask = torch.cat([attention_mask[:, None].expand(-1, length, -1), causal.expand(size, -1, -1)], 2)
    hidden, key_values = lm.hidden(inputs, past_key_values, mask[:, None])
    return lm.logits(hidden), key_values


def parallel_separator_logits(lm, prompt_key_values, separators, source_key_values, valid_mask):
    """Return the logits `[B, M, V]` after M different separators `<s>` for each source, computed in parallel.

    Each separator attends to the source, to its own prompt and to itself, but not to the other separators and their prompts.

    Args:
        lm: the unit LM.
        prompt_key_values: one pair `[B, H, M · P, D / H]` per layer: the M prompts of a source, one after another.
        separators: input vectors `[B, M, D]` of the separators.
        source_key_values: one pair `[B, H, T, D / H]` per layer.
        valid_mask: boolean `[B, T]`, False at the padding of the sources.
    """
    size, num_separators = separators.shape[:2]
    starts = valid_mask.sum(1, keepdim=True).repeat_interleave(num_separators, 0)
    tokens = torch.full_like(starts, SEPARATOR)
    inputs = lm.embed(tokens, starts, (SEPARATOR, separators.flatten(0, 1)[:, None])).view(size, num_separators, -1)
    to_separators = torch.eye(num_separators, dtype=torch.bool, device=valid_mask.device).expand(size, -1, -1)
    prompt_length = prompt_key_values[0][0].shape[2] // num_separators
    to_prompts = to_separators.repeat_interleave(prompt_length, 2)
    to_source = valid_mask[:, None].expand(-1, num_separators, -1)
    mask = torch.cat([to_prompts, to_source, to_separators], 2)
    return lm.logits(lm.hidden(inputs, prepend(prompt_key_values, source_key_values), mask[:, None])[0])
