"""Pre-train a unit LM: it learns to predict the next unit, and to answer pseudo-tasks after `<s>` (see `ulm.pseudo_tasks`).

The notation of rows, such as `u1 … uN`, is explained in `ulm/__init__.py`.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from speech2unit.schemas import REDUCED_UNITS
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device
from training.fit import SeededBatches, fit
from ulm.augment_units import UnitAugmentation, augment, substitution_table
from ulm.build_vocabulary import index_of_unit
from ulm.data import endless_batches, length_batches, pad_rows
from ulm.model import UnitLM, UnitLMConfig, num_parameters
from ulm.prompt import parallel_separator_logits, target_logits
from ulm.pseudo_tasks import TaskPrompts, pseudo_labels
from ulm.schemas import VOCABULARY
from ulm.vocabulary import EOS, PAD, SEPARATOR


class PretrainingBatch(NamedTuple):
    """B rows, each with M pseudo-tasks."""

    rows: list  # augmented sources `u1 … uN`
    tasks: np.ndarray  # [B, M]: numbers of the pseudo-tasks of each row
    answers: np.ndarray  # [B, M]: vocabulary indices of the answers
    prompted_source: bool  # whether each source is read after the prompt of its pseudo-task; then M is 1


class Pretraining(nn.Module):
    """The unit LM and the prompts of its pseudo-tasks, which are trained together."""

    def __init__(self, lm, prompts):
        super().__init__()
        self.lm = lm
        self.prompts = prompts

    def unit_loss(self, rows, prompt_key_values=None):
        """Compute the loss of predicting every unit, and `<s>` after the last one, from the prompt and the units before.

        Args:
            rows: B sources `u1 … uN`.
            prompt_key_values: keys and values of the prompts, one pair `[B, H, P, D / H]` per layer; None: no prompt.

        Returns:
            The summed loss, the number of predicted tokens, the keys and values of prompt and rows per layer, and the boolean
            `valid_mask` `[B, T]` over the inputs `</s> u1 … uN`.
        """
        inputs = pad_rows([[EOS, *row] for row in rows], self.prompts.separators.device)
        expected = pad_rows([[*row, SEPARATOR] for row in rows], inputs.device)
        hidden, key_values = self.lm.hidden(self.lm.embed(inputs), prompt_key_values)
        logits = self.lm.logits(hidden).flatten(0, 1).float()
        loss = F.cross_entropy(logits, expected.flatten(), ignore_index=PAD, reduction="sum")
        return loss, int((expected != PAD).sum()), key_values, inputs != PAD

    def prompted_source_logits(self, tasks, prompt_length, key_values, valid_mask):
        """Return the logits `[B, 1, V]` after `<s>` for tasks `[B, 1]`; `key_values` has prompts, then sources."""
        starts = valid_mask.sum(1, keepdim=True)
        attention_mask = F.pad(valid_mask, (prompt_length, 0), value=True)
        tokens = torch.full_like(tasks, SEPARATOR)
        return target_logits(self.lm, self.prompts.separators[tasks], tokens, starts, key_values, attention_mask)[0]

    def loss(self, batch, task_weight):
        """Return the loss of a `PretrainingBatch` times its number of predicted units, and this number.

        The loss is the mean over the units plus `task_weight` times the mean over the answers to the pseudo-tasks.
        """
        device = self.prompts.separators.device
        tasks = torch.from_numpy(batch.tasks).to(device)
        answers = torch.from_numpy(batch.answers).to(device)
        if not tasks.shape[1]:
            loss, num_targets, _, _ = self.unit_loss(batch.rows)
            return loss, num_targets
        prompts = self.prompts.key_values(self.lm, tasks)
        if batch.prompted_source:
            loss, num_targets, key_values, valid_mask = self.unit_loss(batch.rows, prompts)
            logits = self.prompted_source_logits(tasks, prompts[0][0].shape[2], key_values, valid_mask)
        else:
            loss, num_targets, key_values, valid_mask = self.unit_loss(batch.rows)
            logits = parallel_separator_logits(self.lm, prompts, self.prompts.separators[tasks], key_values, valid_mask)
        task_loss = F.cross_entropy(logits.flatten(0, 1).float(), answers.flatten())
        return loss + task_weight * num_targets * task_loss, num_targets


def read_rows(paths, index_of):
    """Read the sources of the training and dev splits of several corpora.

    Args:
        paths: tables of `REDUCED_UNITS`.
        index_of: dict from a unit to its vocabulary index.

    Returns:
        A dict from `train` and from `dev` to a list of arrays `u1 … uN`, in the order of their utterance_id. Of equal sources,
        only one is kept.
    """
    name_of = {"train": {}, "dev": {}}
    for path in paths:
        table = tables.read(path, REDUCED_UNITS, ["utterance_id", "split", "units"])
        for name, split, units in zip(*(column.to_pylist() for column in table.columns)):
            if split in name_of:
                name_of[split].setdefault(tuple(index_of[unit] for unit in units), name)
    by_split = {}
    for split, names in name_of.items():
        by_split[split] = [np.array(row) for row, _ in sorted(names.items(), key=lambda item: item[1])]
    return by_split


def draw_answers(rows, vocabulary, num_tasks, rng):
    """Draw pseudo-tasks, and return their answer for each row; see `pseudo_labels`.

    Args:
        rows: R sources `u1 … uN`.
        vocabulary: rows of `VOCABULARY`. The counts say which units are frequent, and frequent units come first as answers.
        num_tasks: number of pseudo-tasks.
        rng: `numpy.random.Generator`.

    Returns:
        Vocabulary indices `[R, num_tasks]`.
    """
    if not num_tasks:
        return np.zeros((len(rows), 0), np.int64)
    units = sorted((row for row in vocabulary if row["unit"] is not None), key=lambda row: -row["count"])
    return pseudo_labels([" ".join(map(str, row)) for row in rows], num_tasks, [row["index"] for row in units], rng)


def batch_maker(rows, answers, augmentation, table, *, tasks_per_row, prompted_source_fraction):
    """Return a function that makes a `PretrainingBatch` from positions of rows and a `numpy.random.Generator`.

    The rows of a batch are augmented, and pseudo-tasks are sampled for each of them.

    Args:
        rows: R training sources `u1 … uN`.
        answers: their answers to the pseudo-tasks, `[R, tasks]`.
        augmentation, table: see `augment`.
        tasks_per_row: number of pseudo-tasks that are sampled for each row.
        prompted_source_fraction: fraction of the batches, from 0 to 1, whose sources are read after the prompt of a pseudo-task.
    """
    num_tasks = answers.shape[1]

    def make(positions, rng):
        prompted_source = prompted_source_fraction > 0 and rng.random() < prompted_source_fraction
        num_sampled = 1 if prompted_source else tasks_per_row
        tasks = np.stack([rng.permutation(num_tasks)[:num_sampled] for _ in positions])
        augmented = [augment(rows[i], augmentation, table, rng) for i in positions]
        return PretrainingBatch(augmented, tasks, answers[positions[:, None], tasks], prompted_source)

    return make


def pretrain_ulm(
    *,
    reduced_units,
    vocabulary,
    model,
    config,
    task_prompts,
    training,
    sizes,
    dropout,
    pseudo_tasks,
    data,
    num_updates,
    optimization,
    seed,
):
    """Stage: pre-train a unit LM on the training splits of corpora, and keep the model with the lowest loss of units on dev.

    Args:
        reduced_units: tables of `REDUCED_UNITS`, one per corpus.
        vocabulary: table of `VOCABULARY`.
        model, config: safetensors and JSON file to write, which `ulm.model.load` reads.
        task_prompts: safetensors file to write, with the tensors of `TaskPrompts`.
        training: table of `TRAINING` to write, the learning curve.
        sizes: sizes of the unit LM:
            num_layers: number of transformer blocks.
            dim: width of the hidden states.
            ffn_dim: width of the feed-forward layers.
            num_heads: attention heads per block; divides `dim`.
        dropout: dropout probability, from 0 to 1.
        pseudo_tasks: the pseudo-tasks:
            num_tasks: number of pseudo-tasks; 0: none.
            tasks_per_row: number of them that are sampled for each row of a batch.
            prompted_source_fraction: fraction of the batches whose sources are read after the prompt of a pseudo-task.
            prompt_length: number of vectors per layer in the prompt of a pseudo-task.
            weight: weight of their loss; the loss of the next unit has weight 1.
            prompt_rate_factor: factor of the learning rate for their prompts.
        data: the batches:
            augmentation: fields of `UnitAugmentation`.
            max_tokens: maximum number of tokens per batch, padding included.
        num_updates: number of optimizer updates.
        optimization: arguments of `training.fit.fit`:
            batches_per_update: number of batches whose gradients are summed.
            learning_rate: peak learning rate.
            warmup_updates: number of updates until the peak.
            clip_norm: largest L2 norm of the gradient.
            betas: AdamW's two decay rates.
            weight_decay: AdamW's weight decay.
            evaluate_every: number of updates between two evaluations.
        seed: seed of all random numbers.

    Raises:
        ValueError: if a loss is not finite.
    """
    torch.manual_seed(seed)
    symbols = tables.read(vocabulary, VOCABULARY)
    rows = read_rows(reduced_units, index_of_unit(symbols))
    lengths = {split: [len(row) for row in split_rows] for split, split_rows in rows.items()}
    make_batch = batch_maker(
        rows["train"],
        draw_answers(rows["train"], symbols.to_pylist(), pseudo_tasks["num_tasks"], np.random.default_rng(seed)),
        UnitAugmentation(**data["augmentation"]),
        substitution_table(rows["train"], symbols.num_rows),
        tasks_per_row=pseudo_tasks["tasks_per_row"],
        prompted_source_fraction=pseudo_tasks["prompted_source_fraction"],
    )
    lm = UnitLM(UnitLMConfig(symbols.num_rows, **sizes), dropout)
    prompts = TaskPrompts(lm.config, pseudo_tasks["num_tasks"], pseudo_tasks["prompt_length"])
    pretraining = Pretraining(lm, prompts).to(choose_device())

    def batches(number):
        positions = endless_batches(lengths["train"], data["max_tokens"], np.random.default_rng([seed, number]))
        return SeededBatches(positions, make_batch, [seed, number])

    def dev_loss():
        loss = num_targets = 0
        for positions in length_batches(lengths["dev"], data["max_tokens"]):
            batch_loss, batch_targets, _, _ = pretraining.unit_loss([rows["dev"][i] for i in positions])
            loss = loss + batch_loss
            num_targets += batch_targets
        return dict(loss=float(loss) / num_targets)

    curve = fit(
        pretraining,
        loss=lambda batch: pretraining.loss(batch, pseudo_tasks["weight"]),
        batches=batches,
        evaluate=dev_loss,
        num_updates=num_updates,
        rate_factors={"prompts.": pseudo_tasks["prompt_rate_factor"]},
        seed=seed,
        **optimization,
    )
    save_tensors(model, lm.state_dict())
    save_tensors(task_prompts, prompts.state_dict())
    save_config(config, dict(num_parameters=num_parameters(lm), **lm.config.to_dict()))
    tables.write(training, curve, TRAINING)
