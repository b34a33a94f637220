"""Prompt training: only the prompt's vectors are trained, the unit LM stays frozen."""

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from speech2unit import tables
from speech2unit.device import choose_device
from speech2unit.errors import data_error
from speech2unit.schemas import TRAINING
from speech2unit.training import fit
from speech2unit.weights import save_tensors
from ulm.augment_units import UnitAugmentation, augment, substitution_table
from ulm.build_vocabulary import END, PAD
from ulm.data import endless_batches, length_batches, pad_rows
from ulm.model import load
from ulm.prompt import DeepPrompt, read_source, target_logits
from ulm.schemas import BINARIZED


class Tuned(torch.nn.Module):
    """A frozen unit LM with a prompt; the parameters that require gradients are exactly the prompt's."""

    def __init__(self, lm, prompt, scope, label_smoothing):
        super().__init__()
        self.lm, self.prompt, self.scope, self.label_smoothing = lm.requires_grad_(False), prompt, scope, label_smoothing

    def train(self, mode=True):
        super().train(mode)
        self.lm.eval()
        return self

    def target_logits(self, sources, targets):
        """Logits `[B, L, V]` after `<s> y1 … yk`, and the tokens `[B, L]` that ought to come (`<pad>`: none).

        sources: rows `u1 … uN`; targets: rows `<s> y1 … yk </s>`.
        """
        sources = pad_rows([[END, *row] for row in sources], self.prompt.separator.device)
        targets = pad_rows(targets, sources.device)
        past, visible = read_source(self.lm, self.prompt, sources, self.scope)
        starts = (sources != PAD).sum(1, keepdim=True)
        return target_logits(self.lm, self.prompt.separator, targets[:, :-1], starts, past, visible)[0], targets[:, 1:]

    def loss(self, batch):
        """(sources, targets) → summed cross entropy of what follows `<s>` (labels and `</s>`), and how many tokens that is.

        The ancestors also count the prediction of `<s>`, which decoding never makes, and divide by all tokens.
        """
        logits, wanted = self.target_logits(*batch)
        return _cross_entropy(logits, wanted, self.label_smoothing), int((wanted != PAD).sum())

    def measures(self, batches):
        """Loss in nats a token, without smoothing, and accuracy (every token right, given those before) over batches."""
        loss = targets = right = rows = 0
        for batch in batches:
            logits, wanted = self.target_logits(*batch)
            loss += float(_cross_entropy(logits, wanted, 0.0))
            targets += int((wanted != PAD).sum())
            right += int(((logits.argmax(-1) == wanted) | (wanted == PAD)).all(1).sum())
            rows += len(wanted)
        return dict(loss=loss / targets, accuracy=right / rows)


def initial_prompt(config, length, dropout, initialization, task_prompts):
    """A fresh `DeepPrompt`.

    `normal`: keys and values from N(0, 1) and the separator like an embedding; `pseudo_separator`: the separator is the
    mean of those of the pseudo-tasks; `pseudo_task`: keys and values are vectors of pseudo-tasks drawn at random as well.
    """
    prompt = DeepPrompt(config, length, dropout)
    num_tasks, _, task_length, _ = task_prompts["keys"].shape
    if initialization != "normal":
        if not num_tasks:
            raise data_error(
                "tune_prompt", f"initialization '{initialization}' starts from pseudo-tasks", expected="a unit LM trained with some", got="none",
                remedy="use initialization: normal, or pre-train the unit LM with num_pseudo_tasks above 0",
            )  # fmt: skip
        prompt.separator.data = task_prompts["separators"].mean(0)
    if initialization == "pseudo_task":
        tasks, rows = torch.randint(num_tasks, (length,)), torch.randint(task_length, (length,))
        prompt.keys.data = task_prompts["keys"][tasks, :, rows].transpose(0, 1).clone()
        prompt.values.data = task_prompts["values"][tasks, :, rows].transpose(0, 1).clone()
    return prompt


def tune_prompt(
    *, rows, model, config, task_prompts, prompt, training, seeds, prompt_length, prompt_dropout, scope, initialization,
    label_smoothing, balanced, augmentation, max_tokens, batches_per_update, num_updates, learning_rate, separator_rate_factor,
    warmup_updates, clip_norm, adam_betas,
    weight_decay, evaluate_every,
):  # fmt: skip
    """Stage: one prompt a seed, all in one file as `seed{n}.keys` and so on, and their curves (`TRAINING`)."""
    device, how, tensors, curves = choose_device(), UnitAugmentation(**augmentation), {}, []
    lm, pseudo = load(model, config, device), load_file(task_prompts)
    train, dev = _split(tables.read(rows, BINARIZED).to_pylist())
    table = substitution_table([source for source, _ in train], lm.config.vocabulary_size)
    lengths = [len(source) + len(target) for source, target in train]
    classes = [tuple(target) for _, target in train] if balanced else None
    dev_batches = [_columns(dev[i] for i in b) for b in length_batches([len(s) for s, _ in dev], max_tokens)]
    for seed in seeds:
        torch.manual_seed(seed)
        start = initial_prompt(lm.config, prompt_length, prompt_dropout, initialization, pseudo)
        tuned = Tuned(lm, start, scope, label_smoothing).to(device)

        def batches(number, seed=seed):
            rng = np.random.default_rng([seed, number])
            for chosen in endless_batches(lengths, max_tokens, rng, classes):
                yield _columns((augment(train[i][0], how, table, rng), train[i][1]) for i in chosen)

        curves += fit(
            tuned, loss=tuned.loss, batches=batches, batches_per_update=batches_per_update,
            evaluate=lambda tuned=tuned: tuned.measures(dev_batches), num_updates=num_updates, learning_rate=learning_rate,
            rate_factors={"prompt.separator": separator_rate_factor}, warmup_updates=warmup_updates, clip_norm=clip_norm,
            betas=adam_betas, weight_decay=weight_decay, evaluate_every=evaluate_every, seed=seed,
        )  # fmt: skip
        tensors |= {f"seed{seed}.{name}": tensor for name, tensor in tuned.prompt.state_dict().items()}
    save_tensors(prompt, tensors)
    tables.write(training, curves, TRAINING)


def _split(rows):
    """(source, target) of the training rows and of the dev rows: `u1 … uN` and `<s> y1 … yk </s>`."""
    parts = [[row for row in rows if row["split"] == split] for split in ("train", "dev")]
    return ([(np.array(r["tokens"][: r["num_source"]]), r["tokens"][r["num_source"] :]) for r in part] for part in parts)


def _columns(pairs):
    return tuple(zip(*pairs))


def _cross_entropy(logits, wanted, label_smoothing):
    flat = logits.flatten(0, 1).float()
    return F.cross_entropy(flat, wanted.flatten(), ignore_index=PAD, reduction="sum", label_smoothing=label_smoothing)
