"""Convert a published causal LM over units that the library transformers knows: config.json and safetensors files.

The result is again a folder that `AutoModelForCausalLM` loads, with the published tensors under their names. Models of slamkit,
which wraps a model of transformers, lose the wrapper: the prefix `lm.` of their tensors, and the outer level of config.json.

The conversion compares logits that are computed as here, from padded rows in two parts, with those of transformers. An
architecture that computes otherwise is refused.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.schemas import LOAD_REPORT
from storage.untrusted.checkpoints import check_hashes, read_tensors
from storage.weights import save_config, save_tensors
from ulm.build_vocabulary import vocabulary_rows
from ulm.data import pad_rows
from ulm.model import num_parameters
from ulm.prompt import target_logits
from ulm.schemas import VOCABULARY
from ulm.transformers_lm import IGNORED_KEYS, TOKENS, TransformersLM, UnitTokens, build
from ulm.vocabulary import EOS, PAD, SEPARATOR, SPECIALS

IN_CONFIG = "config"  # value of a token in a preset: config.json names the token
KEYS_IN_CONFIG = dict(
    first_unit=("offset",),
    start=("bos_token_id", "eos_token_id"),
    separator=("eos_token_id", "bos_token_id"),
    end=("eos_token_id", "bos_token_id"),
)
SLAMKIT = "speech_language_model"  # `model_type` of slamkit's wrapper
SLAMKIT_PREFIX = "lm."
CHECKED_LENGTHS = (7, 2, 4)  # units of the random rows of the comparison
MAX_DIFFERENCE = 1e-3  # of logits, relative to the largest one


def read_published(paths):
    """Return config.json of transformers, and a dict from the published name to the tensor.

    Args:
        paths: config.json, and one or more safetensors files. Other files, such as the index of the parts, are not needed.

    Raises:
        ValueError: if there is no config.json or no tensor, or two files have a tensor of the same name.
    """
    configs = [path for path in paths if Path(path).name == "config.json"]
    parts = [path for path in paths if Path(path).suffix == ".safetensors"]
    names = Counter()
    tensors = {}
    for path in parts:
        part = read_tensors(path)
        names.update(list(part))
        tensors |= part
    if not configs or not tensors or max(names.values()) > 1:
        raise data_error(
            Path(paths[0]).parent,
            "a causal LM of transformers is a config.json and safetensors files, whose tensors have different names",
            expected="config.json, and model.safetensors or its parts",
            got=", ".join(Path(path).name for path in paths),
            remedy="correct 'files' in config/checkpoints.tsv",
        )
    return read_json(configs[0]), tensors


def without_wrapper(settings, tensors):
    """Return settings and tensors of the model inside slamkit's wrapper; those of other models as they are."""
    if settings.get("model_type") != SLAMKIT:
        return settings, tensors
    settings = settings["base_config"] | dict(vocab_size=settings["vocab_size"])
    return settings, {name.removeprefix(SLAMKIT_PREFIX): tensor for name, tensor in tensors.items()}


def find_tokens(tokens, settings, num_units, place):
    """Return the `UnitTokens` of a model.

    Args:
        tokens: dict with `first_unit`, `start`, `separator` and `end`: token ids, or `IN_CONFIG`.
        settings: config.json of transformers.
        num_units: size of the codebook.
        place: path, for error messages.

    Raises:
        ValueError: if config.json does not name a token, the vocabulary is too small, or a unit has the token of another symbol.
    """
    ids = {}
    for name, token in tokens.items():
        if token == IN_CONFIG:
            named = [settings[key] for key in KEYS_IN_CONFIG[name] if isinstance(settings.get(key), int)]
            if not named:
                raise _wrong_tokens(place, f"a number in {' or '.join(KEYS_IN_CONFIG[name])} of config.json", "none")
            token = named[0]
        ids[name] = token
    found = UnitTokens(**ids, num_units=num_units)
    units = range(found.first_unit, found.first_unit + num_units)
    others = {found.start, found.separator, found.end}
    if max(units[-1], *others) >= settings["vocab_size"]:
        raise _wrong_tokens(place, f"ids below {settings['vocab_size']}", f"{ids} with {num_units} units")
    if others & set(units):
        raise _wrong_tokens(place, f"other symbols outside of the units {units[0]} to {units[-1]}", f"{ids}")
    return found


def check_logits(causal_lm, tokens, place):
    """Check that `TransformersLM` computes the logits of a model. Raises `ValueError` if it does not.

    Args:
        causal_lm: model of transformers, whose attention is replaced.
        tokens: its `UnitTokens`.
        place: path, for the error message.
    """
    try:
        reason = _difference(causal_lm, tokens)
    except Exception as error:  # another architecture can fail in any way
        reason = f"{type(error).__name__}: {error!s:.200}"
    if reason:
        raise data_error(
            place,
            "logits of padded rows, read in two parts, must be those of transformers",
            expected="attention to all earlier tokens, and positions that can be given",
            got=reason,
            remedy="choose a model of another architecture, such as OPT, GPT-2, Llama or Qwen2",
        )


def convert_causal_lm(*, checkpoint, model, config, vocabulary, task_prompts, load_report, sha256, num_units, tokens):
    """Stage: convert a published causal LM of transformers. It has no pseudo-tasks. See `VOCABULARY` and `LOAD_REPORT`.

    Args:
        checkpoint: list with the paths of config.json and of one or more safetensors files.
        model, config: safetensors and JSON file to write, which `ulm.causal_lm.load` reads, and transformers as well.
        vocabulary: table of `VOCABULARY` to write.
        task_prompts: safetensors file to write, with the (empty) tensors of 0 pseudo-tasks.
        load_report: table of `LOAD_REPORT` to write.
        sha256: list with the expected SHA-256 of each file; `-` accepts any.
        num_units: size of the codebook.
        tokens: token ids of the model, or `config`, see `find_tokens` and `ulm.transformers_lm`:
            first_unit: token of unit 0; unit u has this one plus u.
            start: token that is read before a source.
            separator: token that is read between source and answer.
            end: token that ends an answer.

    Raises:
        ValueError: if a file has another hash, transformers has no such model, the tensors or tokens do not fit, or the logits
            computed here are not those of transformers.
    """
    check_hashes(checkpoint, sha256)
    published_settings, published_tensors = read_published(checkpoint)
    place = Path(checkpoint[0]).parent
    settings, tensors = without_wrapper(published_settings, published_tensors)
    causal_lm = build(settings, tensors, place)
    unit_tokens = find_tokens(tokens, causal_lm.config.to_dict(), num_units, place)
    check_logits(causal_lm, unit_tokens, place)
    report = []
    for source, name in zip(published_tensors, tensors):
        tensor = tensors[name]
        dtype = str(tensor.dtype).removeprefix("torch.")
        report.append(dict(source=source, name=name, shape=list(tensor.shape), dtype=dtype))
    save_tensors(model, tensors)
    tables.write(vocabulary, vocabulary_rows(Counter(), num_units), VOCABULARY)
    save_tensors(task_prompts, dict(keys=torch.zeros(0, 1, 1, 1), values=torch.zeros(0, 1, 1, 1), separators=torch.zeros(0, 1)))
    kept = {name: value for name, value in settings.items() if name not in IGNORED_KEYS}
    save_config(config, kept | {"num_parameters": num_parameters(causal_lm), TOKENS: unit_tokens._asdict()})
    tables.write(load_report, report, LOAD_REPORT)


@torch.no_grad()
def _difference(causal_lm, tokens):
    """Return in which way a `TransformersLM` computes otherwise than its model, or None."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    layers = DynamicCache(config=causal_lm.config).layers
    others = {type(layer).__name__ for layer in layers if type(layer) is not DynamicLayer}
    if others:
        return f"a past of the kind {', '.join(sorted(others))}"
    rng = np.random.default_rng(0)
    rows = [rng.integers(tokens.num_units, size=length) for length in CHECKED_LENGTHS]
    predicted = [tokens.end, *range(tokens.first_unit, tokens.first_unit + tokens.num_units)]
    theirs = []
    for row in rows:
        units = (tokens.first_unit + row).tolist()
        whole_row = torch.tensor([[tokens.start, *units, tokens.separator, units[0]]])
        theirs.append(causal_lm(input_ids=whole_row).logits[0, -2:, predicted])
    lm = TransformersLM(causal_lm, tokens).eval()
    sources = pad_rows([[EOS, *(len(SPECIALS) + row)] for row in rows])
    targets = torch.tensor([[SEPARATOR, len(SPECIALS) + row[0]] for row in rows])
    valid_mask = sources != PAD
    past = lm.key_values(lm.embed(sources))
    ours, _ = target_logits(lm, None, targets, valid_mask.sum(1, keepdim=True), past, valid_mask)
    ours = ours[..., [EOS, *range(len(SPECIALS), lm.vocabulary_size)]]
    difference = (ours - torch.stack(theirs)).abs().max()
    if not difference <= MAX_DIFFERENCE * max(1, ours.abs().max()):
        return f"logits that differ by {float(difference):.2g}"
    return None


def _wrong_tokens(place, expected, got):
    """Return the error about token ids that the model does not have."""
    return data_error(
        place,
        "every symbol needs a token of its own",
        expected=expected,
        got=got,
        remedy="correct `tokens` in the preset of convert_causal_lm, or 'codebook' in config/ulms.tsv",
    )
