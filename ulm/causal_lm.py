"""Unit LMs as tuning, decoding and bundles see them: our own (`ulm.model`) or one of the library transformers
(`ulm.transformers_lm`)."""

from typing import Any, Protocol

from storage.files import read_json
from ulm import model as own


class CausalLM(Protocol):
    """The members that every unit LM has; it is a `torch.nn.Module` too. `load` returns one.

    Tokens are indices of the unit LM's table of `VOCABULARY`, V in number. `past_key_values` is None or a list with one pair of
    keys and values `[1 or B, H, P, D / H]` per layer. Inputs are what `embed` returns.
    """

    vocabulary_size: int
    max_positions: float  # maximum number of tokens of prompt, source and answer together; infinite if there is none

    def embed_tokens(self, tokens) -> Any:
        """Return the embeddings `[…, D]` of tokens `[…]`, without positions."""

    def embed(self, tokens, start=0, separator=None) -> Any:
        """Return the inputs of tokens `[B, T]`; arguments as of `ulm.model.UnitLM.embed`."""

    def hidden(self, inputs, past_key_values=None, mask=None) -> Any:
        """Return the last hidden states `[B, T, D]` of inputs, and the keys and values of past and inputs per layer.

        Args:
            inputs: what `embed` returns.
            past_key_values: see the class.
            mask: boolean `[1 or B, 1, T, P + T]`, True where attention is allowed. By default, each input attends to the
                whole past, to the inputs before it and to itself.
        """

    def key_values(self, inputs, past_key_values=None) -> Any:
        """Return only the keys and values of `hidden`."""

    def logits(self, hidden) -> Any:
        """Return the logits `[…, V]` of hidden states `[…, D]`."""

    def new_prompt(self, kind, length, dropout=0.0) -> Any:
        """Return a new prompt, see `ulm.prompt`.

        Args:
            kind: `deep`: keys and values in every layer; `input`: vectors at the input alone.
            length: number of vectors (per layer if deep).
            dropout: dropout probability of a deep prompt.
        """

    def add_low_rank_updates(self, rank):
        """Add trained updates of a rank to every query and value projection, which are zero at first.

        **Source:** LoRA, arXiv 2106.09685, with α = r.
        """


def extra_packages(settings, tuned_tensors):
    """Return the packages that loading a tuned unit LM needs besides those of our own unit LM.

    Args:
        settings: config.json of the unit LM.
        tuned_tensors: names of what `tune_prompt` has trained.
    """
    if not _is_from_transformers(settings):
        return []
    return ["transformers"] + ["peft"] * any(".lora_" in name for name in tuned_tensors)


def load(model, config, device="cpu"):
    """Load a unit LM, frozen and in evaluation mode.

    Args:
        model: safetensors file of its weights.
        config: JSON file of its sizes.
        device: device to load it to.

    Returns:
        A `CausalLM`.
    """
    settings = read_json(config)
    if not _is_from_transformers(settings):
        return own.load(model, config, device)
    from ulm import transformers_lm

    return transformers_lm.load(model, settings, device)


def _is_from_transformers(settings):
    """Return whether config.json is one of transformers, all of which have this key."""
    return "model_type" in settings
