"""A published causal LM of transformers, whole, in parts or wrapped, computes the same after its conversion."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from storage import tables
from storage.schemas import LOAD_REPORT
from tests.ulm.test_transformers_lm import ARCHITECTURES, NUM_UNITS, TOKENS, causal_model, random_model, unit_lm
from ulm.build_vocabulary import index_of_unit
from ulm.causal_lm import load
from ulm.convert_causal_lm import convert_causal_lm, find_tokens
from ulm.model import num_parameters
from ulm.schemas import VOCABULARY
from ulm.vocabulary import EOS

NUMBERS = {name: value for name, value in TOKENS._asdict().items() if name != "num_units"}
SETTINGS = dict(vocab_size=26, bos_token_id=1, eos_token_id=3)
SEQUENCE = torch.tensor([[EOS, 5, 9, 23, 7, 4]])


def convert(published, tokens=NUMBERS, num_units=NUM_UNITS):
    """Convert the files of a folder; return the paths of model and config, and all outputs by name."""
    names = dict(
        model="model.safetensors",
        config="config.json",
        vocabulary="vocabulary.parquet",
        task_prompts="task_prompts.safetensors",
        load_report="load_report.parquet",
    )
    folder = published.with_name("converted")
    folder.mkdir(exist_ok=True)
    paths = {name: folder / file for name, file in names.items()}
    checkpoint = sorted(path for path in published.iterdir() if path.name != "generation_config.json")
    convert_causal_lm(checkpoint=checkpoint, sha256=[], **paths, num_units=num_units, tokens=tokens)
    return paths


def logits_of(lm):
    with torch.no_grad():
        return lm.logits(lm.hidden(lm.embed(SEQUENCE))[0])


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("max_shard_size", ["1GB", "4KB"])
def test_logits_stay_and_transformers_opens_the_result(name, max_shard_size, tmp_path):
    from transformers import AutoModelForCausalLM

    published = tmp_path / "published"
    causal_model(name).save_pretrained(published, max_shard_size=max_shard_size)
    assert ((published / "model.safetensors.index.json").exists()) == (max_shard_size == "4KB")
    paths = convert(published)
    lm = load(paths["model"], paths["config"])
    assert not lm.training and not any(parameter.requires_grad for parameter in lm.parameters())
    torch.testing.assert_close(logits_of(lm), logits_of(unit_lm(name)))
    opened = AutoModelForCausalLM.from_pretrained(paths["model"].parent, local_files_only=True)
    tokens = lm.input_tokens[SEQUENCE]
    with torch.no_grad():
        torch.testing.assert_close(opened(tokens).logits, random_model(name)(tokens).logits)
    assert json.loads(paths["config"].read_text())["num_parameters"] == num_parameters(random_model(name))
    vocabulary = tables.read(paths["vocabulary"], VOCABULARY)
    assert index_of_unit(vocabulary) == {unit: unit + 4 for unit in range(NUM_UNITS)}
    assert load_file(paths["task_prompts"])["separators"].shape[0] == 0


def test_slamkits_wrapper_is_taken_off(tmp_path):
    published = tmp_path / "published"
    published.mkdir()
    model = causal_model("qwen2")
    inner = model.config.to_dict() | dict(vocab_size=151_936)
    wrapper = dict(model_type="speech_language_model", architectures=["UnitLM"], vocab_size=26, base_config=inner)
    (published / "config.json").write_text(json.dumps(wrapper))
    tensors = {f"lm.{name}": tensor.bfloat16() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, published / "model.safetensors")
    paths = convert(published)
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16().float()
    with torch.no_grad():
        expected = model(torch.tensor([[1, 5, 9, 23, 7, 4]])).logits
    torch.testing.assert_close(logits_of(load(paths["model"], paths["config"]))[..., 4:], expected[..., 4:24])
    report = {row["source"]: (row["name"], row["dtype"]) for row in tables.read(paths["load_report"], LOAD_REPORT).to_pylist()}
    assert report["lm.model.norm.weight"] == ("model.norm.weight", "bfloat16") and len(report) == len(tensors)


def test_config_json_may_name_the_tokens():
    tokens = dict.fromkeys(NUMBERS, "config")
    found = find_tokens(tokens, SETTINGS | dict(offset=4), NUM_UNITS, "folder")
    assert found._asdict() == dict(first_unit=4, num_units=NUM_UNITS, start=1, separator=3, end=3)
    only_end = find_tokens(tokens | dict(first_unit=4), SETTINGS | dict(bos_token_id=None), NUM_UNITS, "folder")
    assert only_end.start == 3


@pytest.mark.parametrize("tokens, num_units, text", [
    (NUMBERS | dict(first_unit="config"), 20, "expected a number in offset of config.json, got none"),
    (NUMBERS, 23, "expected ids below 26, got .* with 23 units"),
    (NUMBERS | dict(end=40), 20, "expected ids below 26"),
    (NUMBERS | dict(end=5), 20, "expected other symbols outside of the units 4 to 23"),
])  # fmt: skip
def test_tokens_that_do_not_fit_are_named(tokens, num_units, text):
    with pytest.raises(ValueError, match=text):
        find_tokens(tokens, SETTINGS, num_units, "folder")


@pytest.mark.parametrize("settings, text", [
    (dict(model_type="bloom", vocab_size=26, hidden_size=16, n_layer=2, n_head=4), "got .*Error"),  # its positions cannot be given
    (dict(model_type="mistral", vocab_size=26, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
          num_key_value_heads=2, sliding_window=8), "a past of the kind DynamicSlidingWindowLayer"),
    (dict(model_type="cohere", vocab_size=26, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
          num_key_value_heads=2, logit_scale=0.1), "logits that differ by"),
    (dict(model_type="mamba", vocab_size=26, hidden_size=16, num_hidden_layers=2), "got "),
])  # fmt: skip
def test_an_architecture_that_computes_otherwise_is_refused(settings, text, tmp_path):
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig

    config = AutoConfig.for_model(**settings, bos_token_id=1, eos_token_id=3, pad_token_id=0)
    torch.manual_seed(0)
    MODEL_FOR_CAUSAL_LM_MAPPING[type(config)](config).save_pretrained(tmp_path / "published")
    with pytest.raises(ValueError, match=f"read in two parts, must be those of transformers; .*{text}"):
        convert(tmp_path / "published")
    assert not list((tmp_path / "converted").iterdir())


def test_files_without_a_config_or_with_a_tensor_twice_are_an_error(tmp_path):
    published = tmp_path / "published"
    causal_model("gpt2").save_pretrained(published)
    save_file({"transformer.ln_f.bias": torch.zeros(16)}, published / "more.safetensors")
    with pytest.raises(ValueError, match="expected config.json, and model.safetensors or its parts, got config.json, model"):
        convert(published)
    (published / "more.safetensors").unlink()
    (published / "config.json").unlink()
    with pytest.raises(ValueError, match="got model.safetensors; correct 'files'"):
        convert(published)
