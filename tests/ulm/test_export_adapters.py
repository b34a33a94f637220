"""What was tuned on a causal LM of transformers opens in peft and gives the same logits."""

import json

import pytest
import torch

from storage.weights import save_config, save_tensors
from tests.ulm.test_transformers_lm import (
    ARCHITECTURES,
    TOKENS,
    WAYS,
    causal_model,
    ids,
    new_tuned,
    of_targets,
    our_targets,
    random_model,
    whole_rows,
)
from training.fit import trained_state
from ulm.export_adapters import export_adapters
from ulm.transformers_lm import TOKENS as TOKENS_KEY
from ulm.tuned import load_tuned, unfreeze

ATOL = dict(atol=1e-4, rtol=0)


def tune(name, way, scope="all"):
    """A `TunedLM` with random values in place of trained ones."""
    kind, length, more = WAYS[way]
    tuned = new_tuned(name, kind, length, scope)
    unfreeze(tuned, **more)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return tuned.eval()


def save(folder, name, tuned, seeds=(1, 12)):
    """Write the files of the unit LM and of what was tuned, as the stages do; return their paths."""
    model = random_model(name)
    save_tensors(folder / "model.safetensors", {n: t.clone() for n, t in model.state_dict().items() if n != "lm_head.weight"})
    if name == "llama":
        save_tensors(folder / "model.safetensors", model.state_dict())
    save_config(folder / "config.json", model.config.to_dict() | {TOKENS_KEY: TOKENS._asdict()})
    trained = trained_state(tuned)
    save_tensors(
        folder / "prompt.safetensors", {f"seed{seed}.{n}": t * (seed % 11) for seed in seeds for n, t in trained.items()}
    )
    return [folder / file for file in ("prompt.safetensors", "model.safetensors", "config.json")]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("way", WAYS)
def test_what_was_tuned_can_be_loaded(name, way, tmp_path):
    tuned = tune(name, way)
    loaded = load_tuned(*save(tmp_path, name, tuned), scope="all", answers=[], device="cpu")
    assert list(loaded) == [1, 12]
    with torch.no_grad():
        for ours, expected in zip(our_targets(loaded[12]), our_targets(tuned)):
            torch.testing.assert_close(ours, expected, **ATOL)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("way", ["deep", "input", "lora"])
def test_adapters_open_in_peft(name, way, tmp_path):
    from peft import PeftModel

    tuned = tune(name, way)
    tuned_weights, _, config = save(tmp_path, name, tuned)
    export_adapters(config=config, tuned_weights=tuned_weights, adapters=tmp_path / "adapters", scope="all")
    assert {path.name for path in tmp_path.glob("adapters/seed12/*")} == {"adapter_config.json", "adapter_model.safetensors"}
    opened = PeftModel.from_pretrained(causal_model(name), tmp_path / "adapters/seed12").eval()
    tokens, mask = whole_rows()
    with torch.no_grad():
        logits = opened(input_ids=ids(tokens), attention_mask=mask.long()).logits
        for ours, theirs in zip(our_targets(tuned), of_targets(logits, 3 if way == "input" else 0)):
            torch.testing.assert_close(ours, theirs, **ATOL)
    settings = json.loads((tmp_path / "adapters/seed1/adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(tmp_path) and settings["task_type"] == "CAUSAL_LM"


@pytest.mark.parametrize("way, scope", [("full", "all"), ("deep", "target")])
def test_what_peft_does_not_know_is_refused(way, scope, tmp_path):
    tuned = tune("gpt2", way, scope)
    tuned_weights, _, config = save(tmp_path, "gpt2", tuned)
    with pytest.raises(ValueError, match="either a prompt that the whole row attends to, or low-rank updates; .*scope: " + scope):
        export_adapters(config=config, tuned_weights=tuned_weights, adapters=tmp_path / "adapters", scope=scope)
    assert not (tmp_path / "adapters").exists()
