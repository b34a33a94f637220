"""Write what was tuned on a causal LM of transformers as adapters of the library peft, one folder per seed.

Each folder has adapter_config.json and adapter_model.safetensors. With the tokens of `ulm.transformers_lm`, that is
`start u1 … uN separator y1 …`, the unit LM with an adapter has the same logits in `peft.PeftModel.from_pretrained` as here.
"""

from pathlib import Path

from safetensors.torch import load_file, save_file

from storage.errors import data_error
from storage.files import atomic_folder, make_readable, read_json
from ulm.transformers_lm import empty_model
from ulm.tuned import by_seed, low_rank

BODY = "lm.body."  # prefix of the names in `TunedLM`
ADAPTER = ".default."  # peft leaves this name of an adapter out of its files


def peft_config(tensors, scope, place):
    """Return the config of peft for the tensors that one seed has trained.

    Args:
        tensors: dict from the name in `TunedLM` to the tensor.
        scope: scope of the prompt, see `ulm.prompt.read_source`.
        place: path of the tensors, for error messages.

    Raises:
        ValueError: if peft has no such adapter.
    """
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig

    prompts = [name for name, tensor in tensors.items() if name.startswith("prompt.") and len(tensor)]
    rank = low_rank(tensors)
    others = [name for name in tensors if not name.startswith("prompt.") and ".lora_" not in name]
    if others or scope != "all" or len(prompts) + bool(rank) != 1:
        raise data_error(
            place,
            "an adapter of peft is either a prompt that the whole row attends to, or low-rank updates",
            expected="scope: all, and one of both",
            got=f"scope: {scope}, {prompts or 'no prompt'}, rank {rank}, {len(others)} other tensors",
            remedy="choose a preset of tune_prompt such as speechprompt, input_prompt20_plain or lora8_plain",
        )
    if rank:
        return LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=rank)
    length, width = tensors[prompts[0]].shape
    if prompts == ["prompt.vectors"]:
        return PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length, token_dim=width)
    return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=length)


def adapter_tensors(tensors, base_model_prefix):
    """Return the tensors of one seed under the names of peft's files.

    Args:
        tensors: dict from the name in `TunedLM` to the tensor.
        base_model_prefix: name of the body in the model of transformers, such as `model`.
    """
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith("prompt.") and len(tensor):
            renamed["prompt_embeddings"] = tensor
        elif ".lora_" in name:
            renamed[name.replace(BODY, f"base_model.model.{base_model_prefix}.").replace(ADAPTER, ".")] = tensor
    return renamed


def export_adapters(*, config, tuned_weights, adapters, scope):
    """Stage: write the adapters of every seed of a task.

    Args:
        config: config.json of the unit LM.
        tuned_weights: safetensors file that `tune_prompt` has written.
        adapters: folder to write, with a folder `seed1` and so on.
        scope: scope of the prompt, see `ulm.prompt.read_source`.

    Raises:
        ValueError: if peft has no such adapter.
    """
    from peft import get_peft_model

    with atomic_folder(adapters) as temporary:
        for seed, tensors in by_seed(load_file(tuned_weights)).items():
            base = empty_model(read_json(config), config)
            model = get_peft_model(base, peft_config(tensors, scope, tuned_weights))
            completed = model.peft_config["default"]  # get_peft_model has filled in the sizes
            completed.base_model_name_or_path = str(Path(config).parent)
            completed.inference_mode = True
            folder = temporary / f"seed{seed}"
            completed.save_pretrained(folder)
            save_file(adapter_tensors(tensors, base.base_model_prefix), folder / "adapter_model.safetensors", dict(format="pt"))
            make_readable(folder / "adapter_model.safetensors")
