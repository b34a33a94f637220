"""One training loop for everything that is trained: encoders, unit LMs, prompts. They differ by model and loss alone."""

import copy
import math
import time

import torch

from speech2unit.device import mixed_precision
from speech2unit.errors import data_error
from speech2unit.parallel import team
from speech2unit.progress import progress


def learning_rate_factor(update, num_updates, warmup_updates):
    """Factor of the peak learning rate at an update (from 0): linear warm-up, then half a cosine down to 0."""
    if update < warmup_updates:
        return (update + 1) / warmup_updates
    return 0.5 * (1 + math.cos(math.pi * (update - warmup_updates) / max(num_updates - warmup_updates, 1)))


def fit(
    model, *, loss, batches, batches_per_update, evaluate, num_updates, learning_rate, rate_factors, warmup_updates, clip_norm, betas,
    weight_decay, evaluate_every, seed,
):  # fmt: skip
    """Train the parameters of `model` that require gradients, keep the best by dev loss, return the curve.

    loss: batch → (sum of losses in nats, number of targets); batches: number from 0 → endless iterator; an update sums over
    the next batch of `batches_per_update` of them, on a CPU each in a process of its own; evaluate: () → dict of measures
    with a `loss`, lower is better, called every `evaluate_every` updates with the model in evaluation mode; rate_factors:
    beginning of parameter names → factor of their learning rate, and no weight decay.
    Returns rows of `speech2unit.schemas.TRAINING`. Matrix products are in bfloat16 where the device computes with it.
    Raises `ValueError` where the loss stops being finite.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(model, learning_rate, weight_decay, rate_factors), betas=betas)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda u: learning_rate_factor(u, num_updates, warmup_updates))
    start, curve, best, sums = time.monotonic(), [], None, torch.zeros(2)

    def note(update, split, measures):
        seconds = round(time.monotonic() - start, 3)
        for measure, value in measures.items():
            curve.append(dict(seed=seed, update=update, split=split, measure=measure, value=value, seconds=seconds))
        print(f"update {update} {split} " + " ".join(f"{k} {v:.4f}" for k, v in measures.items()), flush=True)

    model.train()
    with team(batches_per_update if trained[0].device.type == "cpu" else 1) as workers:
        own = [batches(number) for number in range(workers.worker, batches_per_update, workers.size)]
        updates = range(1, num_updates + 1)
        for update in updates if workers.worker else progress(updates, "updates"):
            sums += _compute_gradients(trained, loss, own, workers)
            torch.nn.utils.clip_grad_norm_(trained, clip_norm)
            optimizer.step()
            schedule.step()
            if workers.worker == 0 and (update % evaluate_every == 0 or update == num_updates):
                note(update, "train", dict(loss=_finite(float(sums[0] / sums[1]), update)))
                sums.zero_()
                measures = _evaluated(model, evaluate)
                note(update, "dev", measures)
                dev_loss = _finite(measures["loss"], update)
                if best is None or dev_loss < best[0]:
                    best = dev_loss, copy.deepcopy(trained_state(model))
    model.load_state_dict(best[1], strict=False)
    model.eval()
    return curve


def _compute_gradients(trained, loss, own, workers):
    """Gradients of the mean loss over one batch of every iterator of the team; sums of its losses and targets `[2]`."""
    sums = torch.zeros(2)
    for parameter in trained:
        parameter.grad = None
    for iterator in own:
        with mixed_precision(trained[0].device):
            batch_loss, num_targets = loss(next(iterator))
        batch_loss.backward()
        sums += torch.tensor([batch_loss.item(), num_targets])
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    gradients = [parameter.grad for parameter in trained]
    workers.add_up([*gradients, sums])
    torch._foreach_div_(gradients, float(sums[1]))
    return sums


def trained_state(model):
    """The tensors of a model that training changes: parameters that require gradients, and buffers."""
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: tensor.detach() for name, tensor in model.state_dict().items() if name not in frozen}


def _groups(model, learning_rate, weight_decay, rate_factors):
    """Parameter groups for the optimiser: those of each factor, and all others."""
    groups = {prefix: dict(params=[], lr=learning_rate * factor, weight_decay=0.0) for prefix, factor in rate_factors.items()}
    groups[""] = dict(params=[], lr=learning_rate, weight_decay=weight_decay)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[next(prefix for prefix in groups if name.startswith(prefix))]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def _evaluated(model, evaluate):
    model.eval()
    with torch.no_grad():
        measures = evaluate()
    model.train()
    return measures


def _finite(value, update):
    if not math.isfinite(value):
        raise data_error(
            f"training, update {update}", "the loss must be finite", expected="a number", got=f"{value}",
            remedy="lower learning_rate in config/config.yaml",
        )  # fmt: skip
    return value
