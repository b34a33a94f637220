"""Prompt training: only the prompt's vectors are trained, the unit LM stays frozen."""

import numpy as np
import torch
from safetensors.torch import load_file

from storage import tables
from storage.errors import data_error
from storage.schemas import TRAINING
from storage.weights import save_tensors
from training.device import cast_frozen, choose_device
from training.fit import SeededBatches, fit, trained_state
from ulm.augment_units import UnitAugmentation, augment, substitution_table
from ulm.data import endless_batches, length_batches
from ulm.model import load
from ulm.prompt import DeepPrompt, InputPrompt
from ulm.schemas import BINARIZED
from ulm.tuned import CachedSourceBatches, LinearVerbalizer, Tuned, answer_tokens, unfreeze


def initial_prompt(config, kind, length, dropout, initialization, task_prompts):
    """A fresh `DeepPrompt`, or `InputPrompt` where `kind` is `input`.

    `normal`: keys and values from N(0, 1) and the separator like an embedding; `pseudo_separator`: the separator is the
    mean of those of the pseudo-tasks; `pseudo_task`: keys and values are vectors of pseudo-tasks drawn at random as well.
    """
    prompt = DeepPrompt(config, length, dropout) if kind == "deep" else InputPrompt(config, length)
    num_tasks, _, task_length, _ = task_prompts["keys"].shape
    if initialization != "normal":
        if not num_tasks:
            raise data_error(
                "tune_prompt",
                f"initialization '{initialization}' starts from pseudo-tasks",
                expected="a unit LM trained with some",
                got="none",
                remedy="use initialization: normal, or pre-train the unit LM with pseudo_tasks.num_tasks above 0",
            )
        prompt.separator.data = task_prompts["separators"].mean(0)
    if initialization == "pseudo_task" and kind == "deep":
        tasks, rows = torch.randint(num_tasks, (length,)), torch.randint(task_length, (length,))
        prompt.keys.data = task_prompts["keys"][tasks, :, rows].transpose(0, 1).clone()
        prompt.values.data = task_prompts["values"][tasks, :, rows].transpose(0, 1).clone()
    return prompt


def tune_prompt(
    *,
    rows,
    model,
    config,
    task_prompts,
    tuned_weights,
    training,
    seeds,
    learn_verbalizer,
    prompt,
    lora_rank,
    train_lm,
    data,
    label_smoothing,
    num_updates,
    optimization,
):
    """Stage: what is trained for each seed, in one file as `seed{n}.prompt.keys` and so on, and the curves (`TRAINING`)."""
    device, how, tensors, curves = choose_device(), UnitAugmentation(**data["augmentation"]), {}, []
    scope, max_tokens = prompt["scope"], data["max_tokens"]
    pseudo, binarized = load_file(task_prompts), tables.read(rows, BINARIZED).to_pylist()
    vocabulary_size = load(model, config).config.vocabulary_size
    train, dev = _split(binarized)
    table = substitution_table([source for source, _ in train], vocabulary_size)
    lengths = [len(source) + len(target) for source, target in train]
    classes = [tuple(target) for _, target in train] if data["balanced"] else None
    dev_batches = [_columns(dev[i] for i in b) for b in length_batches([len(s) for s, _ in dev], max_tokens)]

    def batch(chosen, rng):
        return _columns((augment(train[i][0], how, table, rng), train[i][1]) for i in chosen)

    for seed in seeds:
        torch.manual_seed(seed)
        lm = load(model, config)
        start = initial_prompt(lm.config, prompt["kind"], prompt["length"], prompt["dropout"], prompt["initialization"], pseudo)
        verbalizer = LinearVerbalizer(vocabulary_size, answer_tokens(binarized)) if learn_verbalizer else None
        tuned = Tuned(lm, start, scope, label_smoothing, verbalizer)
        unfreeze(tuned, lora_rank=lora_rank, train_lm=train_lm)
        cast_frozen(tuned.to(device), device)

        def batches(number, seed=seed, tuned=tuned):
            chosen = endless_batches(lengths, max_tokens, np.random.default_rng([seed, number]), classes)
            drawn = SeededBatches(chosen, batch, [seed, number])
            return drawn if scope == "all" else CachedSourceBatches(tuned, drawn, data["reuse_batches"], [seed, number])

        curves += fit(
            tuned,
            loss=tuned.loss,
            batches=batches,
            evaluate=lambda tuned=tuned: tuned.measures(dev_batches),
            num_updates=num_updates,
            rate_factors={"prompt.separator": prompt["separator_rate_factor"]},
            seed=seed,
            **optimization,
        )
        tensors |= {f"seed{seed}.{name}": tensor for name, tensor in trained_state(tuned).items()}
    save_tensors(tuned_weights, tensors)
    tables.write(training, curves, TRAINING)


def _split(rows):
    """(source, target) of the training rows and of the dev rows: `u1 … uN` and `<s> y1 … yk </s>`."""
    parts = [[row for row in rows if row["split"] == split] for split in ("train", "dev")]
    return ([(np.array(r["tokens"][: r["num_source"]]), r["tokens"][r["num_source"] :]) for r in part] for part in parts)


def _columns(pairs):
    return tuple(zip(*pairs))
