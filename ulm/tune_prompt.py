"""Prompt tuning: train the vectors of a prompt. The unit LM stays frozen, unless `unfreeze` trains it as well.

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

from functools import partial

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
from ulm.causal_lm import load
from ulm.data import endless_batches, length_batches
from ulm.schemas import BINARIZED
from ulm.tuned import CachedSourceBatches, LinearVerbalizer, TunedLM, answer_tokens, unfreeze


def initial_prompt(lm, task_prompts, *, kind, length, dropout, initialization):
    """Return a new prompt. PyTorch's default generator draws it.

    Args:
        lm: the unit LM.
        task_prompts: dict with the tensors of `TaskPrompts`: `keys`, `values` and `separators` of the pseudo-tasks.
        kind, length, dropout: see `ulm.causal_lm.CausalLM.new_prompt`.
        initialization: how the vectors start. `normal`: at random, as the classes draw them. `standard_normal`: the same, but the
            separator, if it is trained, is from N(0, 1) too, as in SpeechPrompt. `pseudo_separator`: as `normal`, but the separator is the mean of
            the pseudo-tasks' separators. `pseudo_task`: moreover, the keys and values of a deep prompt come from random
            pseudo-tasks.

    Raises:
        ValueError: if `initialization` needs pseudo-tasks and the unit LM has none.
    """
    prompt = lm.new_prompt(kind, length, dropout)
    if initialization == "standard_normal" and prompt.separator is not None:
        prompt.separator.data *= len(prompt.separator) ** 0.5
    if initialization in ("normal", "standard_normal"):
        return prompt
    num_tasks, _, task_length, _ = task_prompts["keys"].shape
    if not num_tasks:
        raise data_error(
            "tune_prompt",
            f"initialization '{initialization}' needs the prompts of pseudo-tasks",
            expected="a unit LM that was pre-trained on pseudo-tasks",
            got="one without",
            remedy="write speechprompt into the column `tuning` of the task in config/tasks.tsv, or take a unit LM that was "
            "pre-trained with pseudo_tasks.num_tasks above 0",
        )
    prompt.separator.data = task_prompts["separators"].mean(0)
    if initialization == "pseudo_task" and kind == "deep":
        tasks = torch.randint(num_tasks, (length,))
        positions = torch.randint(task_length, (length,))
        prompt.keys.data = task_prompts["keys"][tasks, :, positions].transpose(0, 1).clone()
        prompt.values.data = task_prompts["values"][tasks, :, positions].transpose(0, 1).clone()
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
    """Stage: tune a prompt for each of several seeds.

    Args:
        rows: table of `BINARIZED`. Its dev split selects the best update.
        model, config, task_prompts: files of the unit LM, as `pretrain_ulm` writes them.
        tuned_weights: safetensors file to write, with the trained tensors of all seeds, named `seed1.prompt.keys` and so on.
        training: table of `TRAINING` to write, the learning curves.
        seeds: list of seeds. One `TunedLM` is trained per seed.
        learn_verbalizer: whether to train a `LinearVerbalizer` too.
        prompt: the prompt:
            kind: `deep` or `input`, see `initial_prompt`.
            length: number of vectors (per layer in a deep prompt); 0: only the vector of `<s>` is trained.
            scope: which tokens attend to the prompt, `all` or `target`, see `read_source`.
            dropout: dropout probability of a deep prompt, from 0 to 1.
            initialization: `normal`, `standard_normal`, `pseudo_separator` or `pseudo_task`, see `initial_prompt`.
            separator_rate_factor: factor of the learning rate for the vector of `<s>`.
        lora_rank: rank of trained updates of every query and value projection; 0: none.
        train_lm: whether all weights of the unit LM are trained too.
        data: the batches:
            augmentation: fields of `UnitAugmentation`.
            balanced: whether the rows of all classes are drawn equally often.
            max_tokens: maximum number of tokens per batch, padding included.
            max_rows: maximum number of rows per training batch; no maximum if the key is missing.
            reuse_batches: with scope `target`, number of times that each batch is used, see `CachedSourceBatches`.
        label_smoothing: part of the target probability that is spread evenly over the vocabulary, from 0 to 1.
        num_updates: number of optimizer updates per seed.
        optimization: arguments of `training.fit.fit`:
            batches_per_update: number of batches whose gradients are summed.
            learning_rate: peak learning rate.
            warmup_updates: number of updates until the peak.
            clip_norm: largest L2 norm of the gradient.
            betas: AdamW's two decay rates.
            weight_decay: AdamW's weight decay.
            evaluate_every: number of updates between two evaluations on the dev split.

    Raises:
        ValueError: if `initialization` needs pseudo-tasks and the unit LM has none, if `lora_rank` or `train_lm` is set with
            scope `target`, or if a loss is not finite.
    """
    device = choose_device()
    pseudo_prompts = load_file(task_prompts)
    binarized = tables.read(rows, BINARIZED).to_pylist()
    vocabulary_size = load(model, config).vocabulary_size
    task_data = TaskData(binarized, vocabulary_size, data)

    def new_tuned_lm():
        lm = load(model, config)
        start = initial_prompt(
            lm,
            pseudo_prompts,
            kind=prompt["kind"],
            length=prompt["length"],
            dropout=prompt["dropout"],
            initialization=prompt["initialization"],
        )
        verbalizer = LinearVerbalizer(vocabulary_size, answer_tokens(binarized)) if learn_verbalizer else None
        tuned = TunedLM(lm, start, prompt["scope"], label_smoothing, verbalizer)
        unfreeze(tuned, lora_rank=lora_rank, train_lm=train_lm)
        return tuned.to(device)

    tensors = {}
    curves = []
    for seed in seeds:
        torch.manual_seed(seed)
        tuned = new_tuned_lm()
        cast_frozen(tuned, device)
        curves += fit(
            tuned,
            loss=tuned.loss,
            batches=partial(task_data.training_batches, tuned, prompt["scope"], seed),
            evaluate=lambda tuned=tuned: tuned.measures(task_data.dev_batches),
            num_updates=num_updates,
            rate_factors={"prompt.separator": prompt["separator_rate_factor"]},
            seed=seed,
            **optimization,
        )
        tensors |= {f"seed{seed}.{name}": tensor for name, tensor in trained_state(tuned).items()}
    save_tensors(tuned_weights, tensors)
    tables.write(training, curves, TRAINING)


class TaskData:
    """The rows of a task as batches of pairs (source `u1 … uN`, target `<s> y1 … yk </s>`): two tuples, sources and targets.

    Attributes:
        dev_batches: list of the batches of the dev split.
    """

    def __init__(self, rows, vocabulary_size, settings):
        """Sort the rows into batches.

        Args:
            rows: rows of `BINARIZED`.
            vocabulary_size: number of vocabulary indices.
            settings: the argument `data` of `tune_prompt`.
        """
        self.settings = settings
        self.pairs = _source_target_pairs(rows, "train")
        self.augmentation = UnitAugmentation(**settings["augmentation"])
        self.table = substitution_table([source for source, _ in self.pairs], vocabulary_size)
        dev_pairs = _source_target_pairs(rows, "dev")
        dev_positions = length_batches([len(source) for source, _ in dev_pairs], settings["max_tokens"])
        self.dev_batches = [_columns(dev_pairs[i] for i in positions) for positions in dev_positions]

    def training_batches(self, tuned, scope, seed, number):
        """Return an endless iterator over batches of augmented training rows.

        Args:
            tuned: the `TunedLM`, which computes sources once for several batches if the scope of its prompt is `target`.
            scope: this scope.
            seed, number: seed of the prompt, and number of the iterator; both determine the random numbers.
        """
        lengths = [len(source) + len(target) for source, target in self.pairs]
        classes = [tuple(target) for _, target in self.pairs] if self.settings["balanced"] else None
        rng = np.random.default_rng([seed, number])
        positions = endless_batches(lengths, self.settings["max_tokens"], rng, classes, self.settings.get("max_rows"))
        drawn = SeededBatches(positions, self._augmented_batch, [seed, number])
        if scope == "all":
            return drawn
        return CachedSourceBatches(tuned, drawn, self.settings["reuse_batches"], [seed, number])

    def _augmented_batch(self, positions, rng):
        augmented = []
        for source, target in (self.pairs[i] for i in positions):
            augmented.append((augment(source, self.augmentation, self.table, rng), target))
        return _columns(augmented)


def _source_target_pairs(rows, split):
    """Return the pairs (source `u1 … uN`, target `<s> y1 … yk </s>`) of the rows of a split."""
    pairs = []
    for row in rows:
        if row["split"] == split:
            pairs.append((np.array(row["tokens"][: row["num_source"]]), row["tokens"][row["num_source"] :]))
    return pairs


def _columns(pairs):
    """Turn an iterable of pairs (source, target) into two tuples: all sources, all targets."""
    return tuple(zip(*pairs))
