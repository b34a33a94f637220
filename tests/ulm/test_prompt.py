"""Deep prompts as past keys and values equal the overwritten rows of SpeechPrompt."""

import math

import pytest
import torch
import torch.nn.functional as F

from ulm.model import UnitLM, UnitLMConfig
from ulm.prompt import DeepPrompt, parallel_separator_logits, prepend, read_source, target_logits
from ulm.tuned import TunedLM
from ulm.vocabulary import EOS, PAD, SEPARATOR

ATOL = dict(atol=1e-5, rtol=0)


def speechprompt_logits(lm, prompt, tokens):
    """Return the logits `[T, V]` of one row of tokens as SpeechPrompt computes them.

    l rows precede the tokens. In every layer, after the LayerNorm, these rows of the key input and of the value input are
    overwritten by the vectors of the layer.
    """
    dim, heads, length = lm.config.dim, lm.config.num_heads, prompt.keys.shape[1]
    table = lm.embed_tokens.weight.clone()
    vectors = torch.stack([prompt.separator if t == SEPARATOR else table[t] for t in tokens])
    half = dim // 2
    rates = [math.exp(-i * math.log(10_000) / (half - 1)) for i in range(half)]
    angles = torch.tensor([[(2 + t) * rate for rate in rates] for t in range(len(tokens))])
    x = torch.cat([100 * torch.randn(length, dim), vectors * math.sqrt(dim) + torch.cat([angles.sin(), angles.cos()], 1)])
    total = len(x)
    for layer, keys, values in zip(lm.layers, prompt.keys, prompt.values):
        attention, normed = layer.self_attn, layer.self_attn_layer_norm(x)
        key_input, value_input = normed.clone(), normed.clone()
        key_input[:length], value_input[:length] = keys, values
        q, k, v = attention.q_proj(normed), attention.k_proj(key_input), attention.v_proj(value_input)
        mixed = []
        for part in range(heads):
            columns = slice(part * dim // heads, (part + 1) * dim // heads)
            weights = q[:, columns] @ k[:, columns].T / math.sqrt(dim // heads)
            weights[torch.ones(total, total).triu(1).bool()] = -math.inf
            mixed.append(weights.softmax(-1) @ v[:, columns])
        x = x + attention.out_proj(torch.cat(mixed, 1))
        x = x + layer.fc2(F.relu(layer.fc1(layer.final_layer_norm(x))))
    return (lm.layer_norm(x) @ table.T)[length:]


@pytest.fixture
def rows():
    """Three rows `</s> u1 … uN` of different lengths, padded."""
    tokens = torch.randint(4, 24, (3, 9), generator=torch.Generator().manual_seed(2))
    tokens[:, 0] = EOS
    tokens[1, 6:] = PAD
    tokens[2, 3:] = PAD
    return tokens


TARGETS = torch.tensor([[SEPARATOR, 7, 15], [SEPARATOR, 4, 4], [SEPARATOR, 23, 9]])


def answers(lm, prompt, rows, scope):
    """Return the logits after `TARGETS`."""
    key_values, attention_mask, starts = read_source(lm, prompt, rows, scope)
    return target_logits(lm, prompt.separator, TARGETS, starts, key_values, attention_mask)[0]


def test_key_values_equal_speechprompts_overwritten_rows(lm, prompt, rows):
    with torch.no_grad():
        logits = answers(lm, prompt, rows, "all")
        for i, row in enumerate(rows):
            whole = torch.cat([row[row != PAD], TARGETS[i]]).tolist()
            torch.testing.assert_close(logits[i], speechprompt_logits(lm, prompt, whole)[-3:], atol=1e-4, rtol=0)


def test_the_model_takes_the_prompt_as_past_key_values(lm, prompt, rows):
    row = torch.cat([rows[0], TARGETS[0]])
    with torch.no_grad():
        logits = lm(row[None], prompt.key_values(lm), (SEPARATOR, prompt.separator))[0]
        torch.testing.assert_close(logits, speechprompt_logits(lm, prompt, row.tolist()), atol=1e-4, rtol=0)


@pytest.mark.parametrize("scope", ["all", "target"])
def test_a_row_does_not_depend_on_the_batch(lm, prompt, rows, scope):
    together = answers(lm, prompt, rows, scope)
    for i, row in enumerate(rows):
        alone, attention_mask, starts = read_source(lm, prompt, row[row != PAD][None], scope)
        assert starts.tolist() == [[int((row != PAD).sum())]]
        logits, _ = target_logits(lm, prompt.separator, TARGETS[i : i + 1], starts, alone, attention_mask)
        torch.testing.assert_close(together[i], logits[0], **ATOL)


def test_scope_target_leaves_the_source_untouched(lm, prompt, rows):
    _, plain = lm.hidden(lm.embed(rows))
    key_values, attention_mask, _ = read_source(lm, prompt, rows, "target")
    for (keys, values), (plain_keys, plain_values), (prompt_keys, _) in zip(key_values, plain, prompt.key_values(lm)):
        assert torch.equal(keys[:, :, 3:], plain_keys) and torch.equal(values[:, :, 3:], plain_values)
        assert torch.equal(keys[:, :, :3], prompt_keys.expand(3, -1, -1, -1))
    assert attention_mask.tolist() == [[True] * 12, [True] * 9 + [False] * 3, [True] * 6 + [False] * 6]


def test_scope_all_reads_the_source_under_the_prompt(lm, prompt, rows):
    key_values, _, _ = read_source(lm, prompt, rows, "all")
    _, plain = lm.hidden(lm.embed(rows))
    torch.testing.assert_close(key_values[0][0][:, :, 3:], plain[0][0], **ATOL)  # the first layer's inputs are the embeddings
    assert (key_values[1][0][:, :, 3:] - plain[1][0]).abs().max() > 0.01


@pytest.mark.parametrize("scope", ["all", "target"])
def test_gradients_reach_every_tensor_of_the_prompt_and_nothing_else(lm, prompt, rows, scope):
    answers(lm, prompt, rows, scope).square().sum().backward()
    assert all((p.grad.flatten(1) if p.dim() > 1 else p.grad[None]).abs().amax(-1).min() > 0 for p in prompt.parameters())
    assert all(p.grad is None for p in lm.parameters())


def test_exactly_the_prompts_tensors_train(lm, prompt):
    tuned = TunedLM(lm.requires_grad_(True), prompt, "target", 0.1)
    trained = {name for name, p in tuned.named_parameters() if p.requires_grad}
    assert trained == {"prompt.keys", "prompt.values", "prompt.separator"}


@pytest.mark.parametrize("layers, dim, length, published", [(4, 192, 5, 7_872), (12, 1024, 5, 123_904), (12, 1024, 3, 74_752)])
def test_number_of_trained_parameters(layers, dim, length, published):
    prompt = DeepPrompt(UnitLMConfig(104, layers, dim, 4 * dim, 16), length)
    assert sum(p.numel() for p in prompt.parameters()) == published == (2 * layers * length + 1) * dim


def test_parallel_separators_of_a_source_have_prompts_of_their_own_and_do_not_interact(lm, rows):
    torch.manual_seed(7)
    prompts = [[DeepPrompt(lm.config, 3) for _ in range(2)] for _ in rows]
    key_values_of = [[prompt.key_values(lm) for prompt in row_prompts] for row_prompts in prompts]

    def stacked(layer, part):
        """Keys (part 0) or values (part 1) of a layer, `[rows, H, 2 · 3, D / H]`: the prompts of a row one after another."""
        return torch.cat([torch.cat([pairs[layer][part] for pairs in row], 2) for row in key_values_of])

    prompt_key_values = [(stacked(layer, 0), stacked(layer, 1)) for layer in range(2)]
    separators = torch.stack([torch.stack([prompt.separator for prompt in row_prompts]) for row_prompts in prompts])
    _, source_key_values = lm.hidden(lm.embed(rows))
    logits = parallel_separator_logits(lm, prompt_key_values, separators, source_key_values, rows != PAD)
    for i, row_prompts in enumerate(prompts):
        for j, prompt in enumerate(row_prompts):
            torch.testing.assert_close(logits[i, j], answers(lm, prompt, rows, "target")[i, 0], **ATOL)


def test_prepend_puts_the_prompt_first(lm, prompt, rows):
    _, source_key_values = lm.hidden(lm.embed(rows))
    joined = prepend(prompt.key_values(lm), source_key_values)
    for (keys, values), (prompt_keys, prompt_values) in zip(joined, prompt.key_values(lm)):
        assert keys.shape == values.shape == (3, 4, 12, 4)
        assert torch.equal(keys[1, :, :3], prompt_keys[0]) and torch.equal(values[2, :, :3], prompt_values[0])


def test_dropout_acts_on_the_vectors_in_training_only(lm):
    torch.manual_seed(0)
    prompt = DeepPrompt(UnitLM(lm.config).config, 3, dropout=0.5)
    first, second = prompt.key_values(lm)[0][0], prompt.key_values(lm)[0][0]
    assert not torch.equal(first, second)
    prompt.eval()
    assert torch.equal(prompt.key_values(lm)[0][0], prompt.key_values(lm)[0][0])
