"""A causal LM of the library transformers that reads units: OPT (TWIST), Qwen2 (Slam), Llama, GPT-2, …

Our rows of vocabulary indices are mapped to the token ids of the model:

    our symbol               input                              prediction
    `</s>` (before a source) token `start`                      token `end`
    `<s>`                    token `separator`                  none: it gets the lowest logit of the others
    `<pad>`, `<unk>`         token `start`; padding is masked   none, likewise
    unit u                   token `first_unit` + u             the same token

All weights are the model's, so that the separator has no trained vector, as it has in our unit LM.

What is trained has the form that peft saves (see `ulm.export_adapters`): deep prompts that of its prefix tuning without projection,
input prompts that of its prompt tuning, and low-rank updates are made by peft itself. Prompts are not, because `PeftModel` reads
prompt, source and answer in one pass, ignores positions, and has no mask between tokens. Here a source is read once for all its
answers, answers follow padded sources, and with `scope: target` only the answer attends to the prompt. What remains of peft's
prompts is one table of vectors, and its import takes 4 seconds.

**Source:** TWIST, arXiv 2305.13009; Slam, arXiv 2502.15814; prefix tuning, arXiv 2101.00190; prompt tuning, arXiv 2104.08691.
"""

import math
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from storage import provenance
from storage.errors import data_error
from training.device import attention
from ulm.model import causal_mask
from ulm.vocabulary import EOS, SEPARATOR, SPECIALS

# Keys of config.json that are ours. All others are the config of transformers.
TOKENS = "unit_tokens"
OUR_KEYS = (TOKENS, "num_parameters", provenance.KEY)
# Keys that a published config may have, and that would choose other code or another arithmetic.
IGNORED_KEYS = (
    "auto_map",
    "attn_implementation",
    "_attn_implementation",
    "quantization_config",
    "dtype",
    "torch_dtype",
    "transformers_version",
)
ATTENTION = "unit_lm"  # name of `masked_attention` in transformers
MAX_SHOWN = 9  # wrong tensors that an error message lists


class UnitTokens(NamedTuple):
    """Token ids of a model that stand for our symbols; see the docstring of the module."""

    first_unit: int
    num_units: int
    start: int
    separator: int
    end: int


class Inputs(NamedTuple):
    """What the model reads."""

    vectors: torch.Tensor  # [1 or B, T, D]
    positions: torch.Tensor  # [1 or B, T], from 0


class TransformersLM(nn.Module):
    """A causal LM of transformers with the interface of `ulm.causal_lm.CausalLM`. Its parameters are `body` and `head`."""

    def __init__(self, causal_lm, tokens):
        """Take a model apart.

        Args:
            causal_lm: model of a class such as `OPTForCausalLM`. Its attention becomes `masked_attention`.
            tokens: its `UnitTokens`.
        """
        from transformers import AttentionInterface

        super().__init__()
        AttentionInterface.register(ATTENTION, masked_attention)
        self.body = causal_lm.base_model
        self.body.set_attn_implementation(ATTENTION)
        head = causal_lm.get_output_embeddings()
        self.head = None if head.weight is self.body.get_input_embeddings().weight else head  # None: tied to the embeddings
        units = list(range(tokens.first_unit, tokens.first_unit + tokens.num_units))
        specials = [tokens.start] * len(SPECIALS)
        specials[SEPARATOR] = tokens.separator
        self.register_buffer("input_tokens", torch.tensor(specials + units), persistent=False)
        self.register_buffer("predicted_tokens", torch.tensor([tokens.end, *units]), persistent=False)
        self.max_positions = getattr(self.body.config, "max_position_embeddings", math.inf)

    @property
    def vocabulary_size(self):
        """Number of our vocabulary indices."""
        return len(self.input_tokens)

    def embed_tokens(self, tokens):
        """Return the embeddings `[…, D]` of vocabulary indices `[…]`."""
        return self.body.get_input_embeddings()(self.input_tokens[tokens])

    def embed(self, tokens, start=0, separator=None):
        """Return the `Inputs` of tokens `[B, T]`; see `ulm.model.UnitLM.embed`. A `separator` is always None here."""
        return self.at_positions(self.embed_tokens(tokens), start)

    def at_positions(self, vectors, start=0):
        """Return the `Inputs` of vectors `[B, T, D]` whose first one has the position `start`, an integer or `[B, 1]`.

        Raises:
            ValueError: if the model has fewer positions.
        """
        positions = start + torch.arange(vectors.shape[1], device=vectors.device)[None]
        if int(positions.max()) >= self.max_positions:
            raise data_error(
                "unit LM",
                "a row must fit into the positions of the unit LM: prompt, source and answer",
                expected=f"at most {self.max_positions} tokens",
                got=f"{int(positions.max()) + 1}",
                remedy="leave the long recordings out of the corpus, or choose a unit LM with more positions",
            )
        return Inputs(vectors, positions)

    def hidden(self, inputs, past_key_values=None, mask=None):
        """Return the last hidden states `[B, T, D]` of `Inputs`, and keys and values; see `ulm.model.UnitLM.hidden`."""
        from transformers import DynamicCache

        size, length, _ = inputs.vectors.shape
        cache = DynamicCache()
        for layer, pair in enumerate(past_key_values or []):
            cache.update(*(tensor.expand(size, -1, -1, -1) for tensor in pair), layer)
        if mask is None:
            mask = causal_mask(length, cache.get_seq_length(), inputs.vectors.device)
        output = self.body(
            inputs_embeds=inputs.vectors,
            position_ids=inputs.positions.expand(size, -1),
            attention_mask=_as_bias(mask).expand(size, -1, -1, -1),
            past_key_values=cache,
            use_cache=True,
        )
        return output.last_hidden_state, [(layer.keys, layer.values) for layer in cache.layers]

    def key_values(self, inputs, past_key_values=None):
        """Return only the keys and values of `hidden`."""
        return self.hidden(inputs, past_key_values)[1]

    def logits(self, hidden):
        """Return the logits `[…, V]` of our vocabulary for hidden states `[…, D]`."""
        output = self.head or partial(F.linear, weight=self.body.get_input_embeddings().weight)
        predicted = output(hidden)[..., self.predicted_tokens]
        lowest = predicted.detach().amin(-1, keepdim=True)
        specials = [lowest] * len(SPECIALS)
        specials[EOS] = predicted[..., :1]
        return torch.cat([*specials, predicted[..., 1:]], -1)

    def new_prompt(self, kind, length, dropout=0.0):
        """Return a new prompt: a `PrefixPrompt` for the kind `deep`, a `VectorPrompt` for `input`."""
        return PrefixPrompt(self, length, dropout) if kind == "deep" else VectorPrompt(self, length)

    def add_low_rank_updates(self, rank):
        """Add trained updates of a rank to the query and value projections; peft knows their names in each architecture.

        Raises:
            ValueError: if peft does not know the architecture.
        """
        from peft import LoraConfig, inject_adapter_in_model

        try:
            inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank), self.body)
        except ValueError as error:
            raise data_error(
                "tune_prompt",
                "peft must know the query and value projections of the unit LM",
                expected="an architecture such as OPT, GPT-2, Llama or Qwen2",
                got=f"{self.body.config.model_type}",
                remedy="choose a preset of tune_prompt with a prompt instead of `lora_rank`",
            ) from error


class PrefixPrompt(nn.Module):
    """Keys and values that precede the tokens in every layer, as in peft's prefix tuning without projection.

    The parameter `prefix` has the layout of peft's table: `[length, layers · 2 · H · D / H]`, for each layer keys, then values. H is
    the number of heads that have keys of their own. Tokens that attend to the prompt have positions after it.
    """

    separator = None  # <s> has an embedding of the unit LM

    def __init__(self, lm, length, dropout=0.0):
        """Draw the prefix from N(0, 1), as peft does."""
        super().__init__()
        with torch.no_grad():
            layers = lm.key_values(lm.embed(torch.zeros(1, 1, dtype=torch.long, device=lm.input_tokens.device)))
        _, num_heads, _, head_dim = layers[0][0].shape
        self.layout = (len(layers), 2, num_heads, head_dim)
        self.prefix = nn.Parameter(torch.randn(length, math.prod(self.layout)))
        self.dropout = nn.Dropout(dropout)

    @property
    def num_positions(self):
        """Number of positions that the prompt takes."""
        return len(self.prefix)

    def key_values(self, lm):
        """Return keys and values `[1, H, length, D / H]` for each layer of `lm`."""
        vectors = self.dropout(self.prefix).unflatten(1, self.layout)
        return [tuple(pair[:, None]) for pair in vectors.permute(1, 2, 3, 0, 4)]


class VectorPrompt(nn.Module):
    """Vectors `[length, D]` that precede the embeddings of the tokens at the input, as in peft's prompt tuning."""

    separator = None  # <s> has an embedding of the unit LM

    def __init__(self, lm, length):
        """Draw the vectors from N(0, 1), as peft does."""
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(length, lm.body.get_input_embeddings().weight.shape[1]))

    @property
    def num_positions(self):
        """Number of positions that the prompt takes."""
        return len(self.vectors)

    def key_values(self, lm):
        """Return keys and values `[1, H, length, D / H]` for each layer of `lm`. Each vector attends to those before it."""
        return lm.key_values(lm.at_positions(self.vectors[None]))


def masked_attention(module, query, key, value, attention_mask, scaling=None, **kwargs):
    """Return attention `[B, T, H, D / H]` as transformers calls it, computed by `training.device.attention`.

    On a CPU with bfloat16, it makes the logits of a row almost independent of the padding of its batch.
    """
    is_grouped = key.shape[1] < query.shape[1]
    attended = attention(query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=is_grouped)
    return attended.transpose(1, 2).contiguous(), None


def build(settings, tensors, place):
    """Return a model of transformers in evaluation mode, in float32. No code of the checkpoint is run.

    Args:
        settings: config.json of transformers; `OUR_KEYS` and `IGNORED_KEYS` do not matter.
        tensors: dict from the name to the tensor.
        place: path, for error messages.

    Raises:
        ValueError: if transformers has no such causal LM, or the tensors are not those of the settings.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    empty = empty_model(settings, place)
    num_parameters = sum(parameter.numel() for parameter in empty.parameters())
    num_values = sum(tensor.numel() for tensor in tensors.values())
    if num_parameters > num_values:  # before memory is reserved
        raise _misfit(place, f"{num_values} values for {num_parameters} parameters")
    model, report = type(empty).from_pretrained(
        None, config=empty.config, state_dict=tensors, dtype=torch.float32, output_loading_info=True
    )
    misfits = [*report["missing_keys"], *report["unexpected_keys"], *(name for name, *_ in report["mismatched_keys"])]
    if misfits:
        raise _misfit(place, f"missing, unknown or of another shape: {', '.join(sorted(misfits)[:MAX_SHOWN])}")
    return model.eval()


def empty_model(settings, place):
    """Return a model of transformers without values, on PyTorch's device `meta`; arguments and errors as of `build`."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    options = {name: value for name, value in settings.items() if name not in (*OUR_KEYS, *IGNORED_KEYS, "model_type")}
    try:
        config = AutoConfig.for_model(settings.get("model_type", ""), **options)
        with torch.device("meta"):
            return MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config)
    except (KeyError, ValueError, TypeError) as error:
        raise data_error(
            place,
            "config.json must be that of a causal LM in the library transformers",
            expected="a `model_type` such as opt, gpt2, llama or qwen2, and its sizes",
            got=f"model_type '{settings.get('model_type')}' ({error!s:.150})",
            remedy="take a model that AutoModelForCausalLM loads without code of its own",
        ) from error


def load(model, settings, device="cpu"):
    """Load a model that `convert_causal_lm` has written, frozen and in evaluation mode.

    Args:
        model: safetensors file of its weights.
        settings: content of its config.json.
        device: device to load it to.
    """
    from safetensors.torch import load_file

    causal_lm = build(settings, load_file(model), model)
    return TransformersLM(causal_lm, UnitTokens(**settings[TOKENS])).to(device).eval().requires_grad_(False)


def _misfit(place, got):
    """Return the error about tensors that are not those of the config."""
    return data_error(
        place,
        "tensors must be those of config.json",
        expected="every tensor of the model, and no other",
        got=got,
        remedy="take both files from the same publisher",
    )


def _as_bias(mask):
    """Return a boolean mask as the float tensor that transformers adds to the attention's logits."""
    bias = torch.zeros(mask.shape, device=mask.device)
    return bias.masked_fill(~mask, torch.finfo(bias.dtype).min)
