"""fairseq's unit LM under SpeechPrompt's prompts, and ours with the very same weights.

**Source:** SpeechPrompt, arXiv 2203.16773: l rows stand before the tokens, and in every layer, after the LayerNorm, these rows
of the key and value inputs are overwritten by learned vectors.
"""

from types import SimpleNamespace

import torch
from fairseq.data import Dictionary
from fairseq.models import FairseqIncrementalDecoder
from fairseq.models.transformer_lm import TransformerLanguageModel, TransformerLanguageModelConfig
from fairseq.sequence_generator import SequenceGenerator
from torch import nn

from ulm.build_vocabulary import PAD, SEPARATOR
from ulm.model import UnitLM, UnitLMConfig
from ulm.prompt import DeepPrompt

PUBLISHED = UnitLMConfig(vocabulary_size=104, num_layers=12, dim=1024, ffn_dim=4096, num_heads=16)


def dictionary(num_units):
    """fairseq's dictionary of so many units, in numeric order."""
    words = Dictionary()
    for unit in range(num_units):
        words.add_symbol(str(unit))
    return words


def fairseq_unit_lm(config, seed):
    """fairseq's language model of the sizes `UnitLMConfig`, frozen, with the weights that it draws from the seed."""
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
    """Our unit LM on the tensors of fairseq's, which both share."""
    with torch.device("meta"):
        ours = UnitLM(config)
    names = ours.state_dict().keys()
    tensors = {name.removeprefix("decoder."): tensor for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict({name: tensors[name] for name in names}, assign=True)
    return ours.eval().requires_grad_(False)


class OverwrittenRows(nn.Module):
    """Tokens `[B, T]` → (logits `[B, T, V]`, None), as SpeechPrompt computes them on fairseq's layers.

    Its parameters that train: (2 · layers + 1) · length · D + D, for the published unit LM and length 6: 154,624. The rows
    before the tokens (`inputs`) train as well, though nothing reads what becomes of them.
    """

    def __init__(self, lm, prompt):
        """lm: fairseq's model; prompt: a `DeepPrompt` whose vectors are taken over."""
        super().__init__()
        self.lm = lm
        self.keys, self.values, self.separator = (
            nn.Parameter(part.detach().clone()) for part in (prompt.keys, prompt.values, prompt.separator)
        )
        self.inputs = nn.Parameter(torch.randn(prompt.keys.shape[1], prompt.keys.shape[2]))

    def forward(self, tokens):
        decoder, size, length = self.lm.decoder, len(tokens), len(self.inputs)
        vectors = torch.where((tokens == SEPARATOR)[..., None], self.separator, decoder.embed_tokens(tokens))
        x = decoder.embed_scale * vectors + decoder.embed_positions(tokens)
        x = torch.cat([self.inputs.expand(size, -1, -1), x], 1).transpose(0, 1)
        padding = torch.nn.functional.pad(tokens == PAD, (length, 0))
        mask, padding = decoder.buffered_future_mask(x), padding if padding.any() else None
        for layer, keys, values in zip(decoder.layers, self.keys, self.values):
            normed = layer.self_attn_layer_norm(x)
            key, value = (torch.cat([rows[:, None].expand(-1, size, -1), normed[length:]]) for rows in (keys, values))
            x = x + layer.self_attn(normed, key, value, padding, need_weights=False, attn_mask=mask)[0]
            x = x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
        return decoder.output_layer(decoder.layer_norm(x[length:]).transpose(0, 1)), None

    def get_normalized_probs(self, net_output, log_probs, sample):
        """What fairseq's generator asks a model for."""
        return self.lm.get_normalized_probs(net_output, log_probs, sample)


class CachedDecoder(FairseqIncrementalDecoder):
    """fairseq's decoder with its cache, which starts with the keys and values of a prompt.

    The separator keeps the LM's own embedding: fairseq's decoder has no place for another.
    """

    def __init__(self, lm, past):
        """lm: fairseq's model; past: per layer keys and values `[1, H, P, D / H]`."""
        super().__init__(None)
        self.inner, self.past = lm.decoder, past

    def forward(self, tokens, encoder_out=None, incremental_state=None):
        if not incremental_state:
            for layer, pair in zip(self.inner.layers, self.past):
                keys, values = (each.repeat(len(tokens), 1, 1, 1) for each in pair)
                layer.self_attn._set_input_buffer(incremental_state, dict(prev_key=keys, prev_value=values))
        return self.inner(tokens, incremental_state=incremental_state)


class Cached(nn.Module):
    """A model that fairseq's generator decodes with a cache, because it has a `decoder`."""

    def __init__(self, lm, past):
        super().__init__()
        self.lm, self.decoder = lm, CachedDecoder(lm, past)

    def get_normalized_probs(self, net_output, log_probs, sample):
        """What fairseq's generator asks a model for."""
        return self.lm.get_normalized_probs(net_output, log_probs, sample)


def generate(model, words, sources, num_labels):
    """The unit that fairseq's generator says after each source of one length, forced token by token, and `</s>`.

    Greedy; of the vocabulary only the first `num_labels` units are allowed, and exactly one is said.
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
    found = generator.generate([model], sample, prefix_tokens=prefixes)
    return [int(best[0]["tokens"][length]) for best in found]


def prompt_of(lm, length, seed):
    """A `DeepPrompt` for our unit LM, whose separator is the LM's own embedding."""
    torch.manual_seed(seed)
    prompt = DeepPrompt(lm.config, length).eval()
    prompt.separator.data = lm.embed_tokens.weight[SEPARATOR].clone()
    return prompt
