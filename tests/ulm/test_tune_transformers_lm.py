"""The stages `tune_prompt` and `sample` on causal LMs of transformers, from the files that `convert_causal_lm` writes."""

from itertools import repeat

import pytest
import torch
from safetensors.torch import load_file

from storage import tables
from storage.schemas import TRAINING
from tests.ulm.test_convert_causal_lm import convert
from tests.ulm.test_transformers_lm import ROWS, TARGETS, causal_model, expected_names, new_tuned
from training.fit import fit
from ulm.sample import sample
from ulm.schemas import SAMPLES
from ulm.tune_prompt import tune_prompt

NO_VARIANTS = dict(num_variants=0, augmentation=dict(probability=0.0, drop=0.0, substitute=0.0, crop=0.0))
SAMPLING = dict(metric="accuracy", scope="all", max_length_factor=1.0, length_penalty=0.0, test_time_augmentation=NO_VARIANTS)
CASES = {  # architecture → name of the way, changes of the settings
    "opt": ("input", dict(prompt=dict(kind="input", length=3))),
    "gpt2": ("lora", dict(prompt=dict(length=0), lora_rank=2)),
    "llama": ("full", dict(prompt=dict(length=0), train_lm=True)),
    "qwen2": ("deep", dict(prompt=dict(length=3))),
}


@pytest.fixture(params=CASES)
def case(request, task, tmp_path, run_stage, tuning_settings):
    """The name of an architecture, the name of a way, and the folder in which both stages' inputs are and `tune_prompt` ran."""
    name = request.param
    way, changes = CASES[name]
    causal_model(name).save_pretrained(tmp_path / "published")
    folder = convert(tmp_path / "published")["model"].parent
    start = dict(scope="all", initialization="normal")
    settings = tuning_settings(optimization=dict(batches_per_update=2), **changes | dict(prompt=start | changes["prompt"]))
    run_stage(tune_prompt, folder, task, seeds=[1, 2], **settings)
    return name, way, folder


@pytest.mark.slow
def test_what_is_named_is_trained_and_answers_do_not_depend_on_the_batch(case, task, run_stage):
    name, way, folder = case
    tensors = load_file(folder / "prompt.safetensors")
    assert set(tensors) == {f"seed{seed}.{trained}" for seed in (1, 2) for trained in expected_names(name, way)}
    pairs = [(tensors[n], tensors[n.replace("seed1", "seed2")]) for n in tensors if n.startswith("seed1.")]
    assert any(not torch.equal(*pair) for pair in pairs)
    curves = tables.read(folder / "tune_prompt.parquet", TRAINING).to_pandas()
    assert set(curves.seed) == {1, 2} and curves["update"].max() == 6
    samples = []
    for beam_size, max_tokens in ((1, 10), (1, 4000), (3, 900)):
        run_stage(sample, folder, task, beam_size=beam_size, max_tokens=max_tokens, **SAMPLING)
        samples.append(tables.read(folder / "samples.parquet", SAMPLES).to_pandas().sort_values(["seed", "utterance_id"]))
    alone, together, with_beam = samples
    assert len(alone) == 2 * 36
    assert alone.predicted_labels.map(list).tolist() == together.predicted_labels.map(list).tolist()
    assert alone.score.tolist() == pytest.approx(together.score.tolist(), abs=0.01)  # logits are rounded where there is bfloat16
    assert alone.score.tolist() == pytest.approx(with_beam.score.tolist(), abs=0.01)  # of equal logits it may choose another


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["deep", "input"])
def test_tuning_learns(kind):
    tuned = new_tuned("llama", kind, 4)
    batch = (ROWS, TARGETS)
    start = tuned.measures([batch])
    fit(
        tuned,
        loss=tuned.loss,
        batches=lambda _: repeat(batch),
        evaluate=lambda: tuned.measures([batch]),
        num_updates=100,
        learning_rate=0.05,
        warmup_updates=5,
        clip_norm=1.0,
        betas=[0.9, 0.98],
        weight_decay=0.0,
        evaluate_every=20,
        batches_per_update=1,
        rate_factors={},
        seed=1,
    )
    assert tuned.measures([batch])["loss"] < 0.8 * start["loss"]
