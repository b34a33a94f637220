"""fairseq's unit LM with SpeechPrompt's prompts, and our unit LM with the same weights.

In SpeechPrompt, a prompt of length l adds l rows before the tokens. In every layer, after the LayerNorm, learned vectors
overwrite these rows in the inputs of the keys and of the values.

**Source:** SpeechPrompt, arXiv 2203.16773.
"""

from types import SimpleNamespace

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder
from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig
from fairseq.sequence_generator import SequenceGenerator
from torch import nn

from ulm.model import UnitLM, UnitLMConfig
from ulm.prompt import DeepPrompt
from ulm.vocabulary import PAD, SEPARATOR

PUBLISHED = UnitLMConfig(vocabulary_size=104, num_layers=12, dim=1024, ffn_dim=4096, num_heads=16)


def dictionary(num_units):
    """Return fairseq's dictionary of units in numeric order."""
    words = Dictionary()
    for unit in range(num_units):
        words.add_symbol(str(unit))
    return words


def fairseq_unit_lm(config, seed):
    """Return fairseq's language model with random weights, frozen.

    Args:
        config: a `UnitLMConfig`, the sizes.
        seed: seed of the weights.
    """
    settings = TransformerLanguageModelConfig(
        decoder_embed_dim=config.dim,
        decoder_input_dim=config.dim,
        decoder_output_dim=config.dim,
        decoder_ffn_embed_dim=config.ffn_dim,
        decoder_layers=config.num_layers,
        decoder_attention_heads=config.num_heads,
        decoder_normalize_before=True,
        share_decoder_input_output_embed=True,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        tokens_per_sample=3072,
        max_target_positions=3072,
    )
    words = dictionary(config.vocabulary_size - 4)
    torch.manual_seed(seed)
    task = SimpleNamespace(source_dictionary=words, target_dictionary=words)
    return TransformerLanguageModel.build_model(settings, task).eval().requires_grad_(False)


def our_unit_lm(theirs, config):
    """Return our `UnitLM` with the tensors of fairseq's model `theirs`. Both share the memory of these tensors."""
    with torch.device("meta"):
        ours = UnitLM(config)
    names = ours.state_dict().keys()
    tensors = {name.removeprefix("decoder."): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict({name: tensors[name] for name in names}, assign=True)
    return ours.eval().requires_grad_(False)


class OverwrittenRows(nn.Module):
    """fairseq's layers with the prompts of SpeechPrompt, which overwrite rows.

    Trained parameters: (2 · layers + 1) · length · D + D, which is 154,624 for the published unit LM and length 6. The inputs of
    the rows before the tokens (`inputs`) are trained too, although nothing reads the outputs of these rows.
    """

    def __init__(self, lm, prompt):
        """Create the model.

        Args:
            lm: fairseq's model.
            prompt: a `DeepPrompt`, whose vectors are copied.
        """
        super().__init__()
        self.lm = lm
        self.keys = nn.Parameter(prompt.keys.detach().clone())
        self.values = nn.Parameter(prompt.values.detach().clone())
        self.separator = nn.Parameter(prompt.separator.detach().clone())
        self.inputs = nn.Parameter(torch.randn(prompt.keys.shape[1], prompt.keys.shape[2]))

    def forward(self, tokens):
        """Return logits `[B, T, V]` for tokens `[B, T]`, and None, as fairseq's models do."""
        decoder = self.lm.decoder
        size = len(tokens)
        length = len(self.inputs)
        vectors = torch.where((tokens == SEPARATOR)[..., None], self.separator, decoder.embed_tokens(tokens))
        x = decoder.embed_scale * vectors + decoder.embed_positions(tokens)
        x = torch.cat([self.inputs.expand(size, -1, -1), x], 1).transpose(0, 1)
        padding = torch.nn.functional.pad(tokens == PAD, (length, 0))
        padding = padding if padding.any() else None
        mask = decoder.buffered_future_mask(x)
        for layer, keys, values in zip(decoder.layers, self.keys, self.values):
            normed = layer.self_attn_layer_norm(x)
            key, value = (torch.cat([rows[:, None].expand(-1, size, -1), normed[length:]]) for rows in (keys, values))
            x = x + layer.self_attn(normed, key, value, padding, need_weights=False, attn_mask=mask)[0]
            x = x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
        return decoder.output_layer(decoder.layer_norm(x[length:]).transpose(0, 1)), None

    def get_normalized_probs(self, net_output, log_probs, sample):
        """Return log probabilities; fairseq's generator calls this."""
        return self.lm.get_normalized_probs(net_output, log_probs, sample)


class CachedDecoder(FairseqIncrementalDecoder):
    """fairseq's decoder with its cache, which initially has the keys and values of a prompt.

    The separator `<s>` has the embedding of the LM, because fairseq's decoder cannot replace it.
    """

    def __init__(self, lm, past):
        """Create the decoder.

        Args:
            lm: fairseq's model.
            past: keys and values of a prompt, one pair `[1, H, P, D / H]` per layer.
        """
        super().__init__(None)
        self.inner = lm.decoder
        self.past = past

    def forward(self, tokens, encoder_out=None, incremental_state=None):
        if not incremental_state:
            for layer, pair in zip(self.inner.layers, self.past):
                keys, values = (tensor.repeat(len(tokens), 1, 1, 1) for tensor in pair)
                layer.self_attn._set_input_buffer(incremental_state, dict(prev_key=keys, prev_value=values))
        return self.inner(tokens, incremental_state=incremental_state)


class Cached(nn.Module):
    """A model that fairseq's generator decodes with a cache, because its attribute `decoder` supports one."""

    def __init__(self, lm, past):
        super().__init__()
        self.lm = lm
        self.decoder = CachedDecoder(lm, past)

    def get_normalized_probs(self, net_output, log_probs, sample):
        """Return log probabilities; fairseq's generator calls this."""
        return self.lm.get_normalized_probs(net_output, log_probs, sample)


def generate(model, words, sources, num_labels):
    """Return the unit that fairseq's generator predicts after each source.

    The generator is greedy, and is forced through the source token by token. After the source it must predict one of the first
    `num_labels` units, and then `</s>`.

    Args:
        model: model of fairseq.
        words: fairseq's dictionary.
        sources: list of sources, lists of tokens of the same length.
        num_labels: number of allowed units.
    """
    prefixes = torch.tensor([[*source, SEPARATOR] for source in sources])
    length = prefixes.shape[1]
    generator = SequenceGenerator(
        [model],
        words,
        beam_size=1,
        max_len_a=0,
        max_len_b=length + 1,
        max_len=3072,
        min_len=length + 1,
        unk_penalty=1e9,
        tokens_to_suppress=["<s>", *words.symbols[words.nspecial + num_labels :]],
    )
    sample = dict(net_input=dict(src_tokens=prefixes, src_lengths=torch.full((len(prefixes),), length)))
    hypotheses = generator.generate([model], sample, prefix_tokens=prefixes)
    return [int(best["tokens"][length]) for best, *_ in hypotheses]


def prompt_of(lm, length, seed):
    """Return a random `DeepPrompt` for our unit LM. Its separator is the embedding of `<s>` in the LM."""
    torch.manual_seed(seed)
    prompt = DeepPrompt(lm.config, length).eval()
    prompt.separator.data = lm.embed_tokens.weight[SEPARATOR].clone()
    return prompt
