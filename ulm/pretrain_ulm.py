"""Pre-training of a unit LM: the next unit, and pseudo-tasks asked after `<s>` (see `pseudo_tasks`)."""

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
from ulm.build_vocabulary import EOS, PAD, SEPARATOR, index_of_unit
from ulm.data import endless_batches, length_batches, pad_rows
from ulm.model import UnitLM, UnitLMConfig, num_parameters
from ulm.prompt import parallel_separator_logits, target_logits
from ulm.pseudo_tasks import TaskPrompts, pseudo_labels
from ulm.schemas import VOCABULARY


class Pretraining(nn.Module):
    """The unit LM and the prompts of its pseudo-tasks, trained together."""

    def __init__(self, lm, prompts):
        super().__init__()
        self.lm, self.prompts = lm, prompts

    def unit_loss(self, rows, past=None):
        """Summed loss of every unit and the `<s>` behind them, given `past` and those before; their number; keys and values,
        those of the past first; which inputs are real `[B, T]`.
        """
        inputs = pad_rows([[EOS, *row] for row in rows], self.prompts.separators.device)
        wanted = pad_rows([[*row, SEPARATOR] for row in rows], inputs.device)
        hidden, read = self.lm.hidden(self.lm.embed(inputs), past)
        logits = self.lm.logits(hidden).flatten(0, 1).float()
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=PAD, reduction="sum")
        return loss, int((wanted != PAD).sum()), read, inputs != PAD

    def task_loss(self, tasks, answers, own, read, visible, under_prompt):
        """Mean loss of the answers `[B, M]` of each source to the pseudo-tasks `[B, M]`, whose prompts are `own`.

        under_prompt: the source was read under the prompt of its one task, which stands in `read` already.
        """
        separators = self.prompts.separators[tasks]
        if under_prompt:
            starts, seen = visible.sum(1, keepdim=True), F.pad(visible, (own[0][0].shape[2], 0), value=True)
            logits = target_logits(self.lm, separators, torch.full_like(tasks, SEPARATOR), starts, read, seen)[0]
        else:
            logits = parallel_separator_logits(self.lm, own, separators, read, visible)
        return F.cross_entropy(logits.flatten(0, 1).float(), answers.flatten())

    def loss(self, batch, task_weight):
        """(rows, tasks, answers, under_prompt) → summed loss and number of targets; see `task_loss`.

        Both parts are means; their sum is scaled by the targets.
        """
        rows, *numbers, under_prompt = batch
        tasks, answers = (torch.from_numpy(x).to(self.prompts.separators.device) for x in numbers)
        own = self.prompts.past(self.lm, tasks) if tasks.shape[1] else None
        loss, targets, read, visible = self.unit_loss(rows, own if under_prompt else None)
        if own:
            loss = loss + task_weight * targets * self.task_loss(tasks, answers, own, read, visible, under_prompt)
        return loss, targets


def read_rows(paths, index_of):
    """Split → list of token rows `[N]` in order of utterance_id, each different row once."""
    found = {"train": {}, "dev": {}}
    for path in paths:
        table = tables.read(path, REDUCED_UNITS, ["utterance_id", "split", "units"])
        for name, split, units in zip(*(column.to_pylist() for column in table.columns)):
            if split in found:
                found[split].setdefault(tuple(index_of[u] for u in units), name)
    return {split: [np.array(row) for row, _ in sorted(rows.items(), key=lambda item: item[1])] for split, rows in found.items()}


def answers_of(rows, vocabulary, num_tasks, rng):
    """Answers `[N, tasks]` of rows to pseudo-tasks; the more frequent units are the likelier answers."""
    if not num_tasks:
        return np.zeros((len(rows), 0), np.int64)
    units = sorted((row for row in vocabulary if row["unit"] is not None), key=lambda row: -row["count"])
    return pseudo_labels([" ".join(map(str, row)) for row in rows], num_tasks, [row["index"] for row in units], rng)


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
    """Stage: pre-train on the training splits of several corpora; the dev splits judge the loss of the next unit."""
    torch.manual_seed(seed)
    words = tables.read(vocabulary, VOCABULARY)
    rows = read_rows(reduced_units, index_of_unit(words))
    train, dev, how = rows["train"], rows["dev"], UnitAugmentation(**data["augmentation"])
    num_tasks, max_tokens = pseudo_tasks["num_tasks"], data["max_tokens"]
    table = substitution_table(train, words.num_rows)
    answers = answers_of(train, words.to_pylist(), num_tasks, np.random.default_rng(seed))
    lm = UnitLM(UnitLMConfig(words.num_rows, **sizes), dropout)
    prompts = TaskPrompts(lm.config, num_tasks, pseudo_tasks["prompt_length"])
    both = Pretraining(lm, prompts).to(choose_device())
    fraction = pseudo_tasks["prompted_source_fraction"]

    def batch(chosen, rng):
        """See `Pretraining.loss`: rows as they might also have come out, each asked some pseudo-tasks."""
        under_prompt = fraction > 0 and rng.random() < fraction
        tasks_per_row = 1 if under_prompt else pseudo_tasks["tasks_per_row"]
        tasks = np.stack([rng.permutation(num_tasks)[:tasks_per_row] for _ in chosen])
        return [augment(train[i], how, table, rng) for i in chosen], tasks, answers[chosen[:, None], tasks], under_prompt

    def batches(number):
        chosen = endless_batches([len(row) for row in train], max_tokens, np.random.default_rng([seed, number]))
        return SeededBatches(chosen, batch, [seed, number])

    def dev_loss():
        parts = [both.unit_loss([dev[i] for i in batch])[:2] for batch in length_batches([len(row) for row in dev], max_tokens)]
        return dict(loss=float(sum(loss for loss, _ in parts)) / sum(n for _, n in parts))

    curve = fit(
        both,
        loss=lambda batch: both.loss(batch, pseudo_tasks["weight"]),
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
