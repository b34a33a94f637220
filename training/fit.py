"""One training loop for everything that is trained: encoders, unit LMs, prompts. They differ by model and loss alone.

Nothing of a run is lost by an interruption: what it draws at random follows from (seed, update, batch), and all else that
changes is in `Run.state()`.
"""

import math
import shutil
import time
from itertools import islice

import numpy as np
import torch

from storage.errors import data_error
from storage.progress import progress
from training.checkpointing import next_slot
from training.device import mixed_precision
from training.parallel import team

DECAYS = {  # fraction of the way from the end of the warm-up to the end of training → factor of the peak learning rate
    "cosine": lambda part: 0.5 * (1 + math.cos(math.pi * part)),
    "linear": lambda part: 1 - part,
    "constant": lambda part: 1.0,
}


def learning_rate_factor(update, num_updates, warmup_updates, decay="cosine"):
    """Factor of the peak learning rate at an update (from 0): linear warm-up, then as `decay` says down to 0 or not at all."""
    if update < warmup_updates:
        return (update + 1) / warmup_updates
    return DECAYS[decay]((update - warmup_updates) / max(num_updates - warmup_updates, 1))


class SeededBatches:
    """Endless batches `make(choice, rng)`, each with random numbers of its own, so that skipping some costs nothing.

    choices: endless iterator over what makes a batch, such as positions of rows; seed: of the numbers, a list.
    """

    def __init__(self, choices, make, seed):
        self.choices, self.make, self.seed, self.position = choices, make, list(seed), 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return self.make(next(self.choices), np.random.default_rng([*self.seed, self.position]))

    def skip(self, count):
        """Go on behind the next `count` batches."""
        self.position += count
        next(islice(self.choices, count, count), None)


class Run:
    """Model, optimiser and schedule at an update, and what was measured up to there."""

    def __init__(self, model, optimizer, schedule, seed, place):
        self.model, self.optimizer, self.schedule, self.seed, self.place = model, optimizer, schedule, seed, place
        self.update, self.curve, self.best, self.sums, self.started = 0, [], None, torch.zeros(2), time.monotonic()
        self.writer = None

    def state(self):
        """All that changes, as tensors and plain values."""
        return dict(
            update=self.update,
            curve=self.curve,
            best=self.best,
            sums=self.sums,
            seconds=time.monotonic() - self.started,
            tensors=trained_state(self.model),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
        )

    def resume(self):
        """Go on from the state that an interrupted run left, if it left one."""
        found = self.place.load()
        if found is None:
            return
        self.update, self.curve, self.best, self.sums = (found[name] for name in ("update", "curve", "best", "sums"))
        self.started = time.monotonic() - found["seconds"]
        self.model.load_state_dict(found["tensors"], strict=False)
        self.optimizer.load_state_dict(found["optimizer"])
        self.schedule.load_state_dict(found["schedule"])
        print(f"going on after update {self.update}", flush=True)

    def open_curves(self):
        """Write the curve so far for TensorBoard, and what comes."""
        if self.place.curves is not None:
            from torch.utils.tensorboard import SummaryWriter

            shutil.rmtree(self.place.curves, ignore_errors=True)
            self.writer = SummaryWriter(str(self.place.curves), flush_secs=30)
            self._write(self.curve)

    def note(self, split, measures):
        """Add measures of a split at this update to the curve."""
        seconds, same = round(time.monotonic() - self.started, 3), dict(seed=self.seed, update=self.update, split=split)
        rows = [same | dict(measure=name, value=float(value), seconds=seconds) for name, value in measures.items()]
        self.curve += rows
        self._write(rows)
        print(
            f"seed {self.seed}, update {self.update}: {split} " + " ".join(f"{k} {v:.4f}" for k, v in measures.items()),
            flush=True,
        )

    def evaluate_and_keep_best(self, evaluate):
        """Note the mean loss since the last time and what `evaluate` measures; keep the best."""
        self.note("train", dict(loss=_finite(float(self.sums[0] / self.sums[1]), self.update)))
        self.sums.zero_()
        measures = run_evaluation(self.model, evaluate)
        self.note("dev", measures)
        dev_loss = _finite(float(measures["loss"]), self.update)
        if self.best is None or dev_loss < self.best[0]:
            copied = {name: tensor.to("cpu", copy=True) for name, tensor in trained_state(self.model).items()}
            self.best = dev_loss, copied

    def close(self):
        """Nothing more is noted."""
        if self.writer is not None:
            self.writer.close()

    def _write(self, rows):
        for row in rows if self.writer is not None else []:
            self.writer.add_scalar(f"{row['measure']}/{row['split']}", row["value"], row["update"])


def fit(
    model,
    *,
    loss,
    batches,
    batches_per_update,
    evaluate,
    num_updates,
    learning_rate,
    rate_factors,
    warmup_updates,
    clip_norm,
    betas,
    weight_decay,
    evaluate_every,
    seed,
    decay="cosine",
):
    """Train the parameters of `model` that require gradients, keep the best by dev loss, return the curve.

    loss: batch → (sum of losses in nats, number of targets), which draws from PyTorch's random numbers alone; batches: number
    from 0 → endless iterator, `SeededBatches` where an interrupted run is to go on without making the batches before anew; an update
    sums over the next batch of `batches_per_update` of them, on a CPU each in a process of its own; evaluate: () → dict of
    measures with a `loss`, lower is better, called every `evaluate_every` updates, see `run_evaluation`;
    rate_factors: beginning of parameter names → factor of their learning rate, and no weight decay; decay: see `DECAYS`.
    Returns rows of `storage.schemas.TRAINING`. Matrix products are in bfloat16 where the device computes with it.
    PyTorch's random state is afterwards what it was before. Raises `ValueError` where the loss stops being finite.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    device = trained[0].device
    optimizer = torch.optim.AdamW(_groups(model, learning_rate, weight_decay, rate_factors), betas=betas, fused=True)
    factor = lambda update: learning_rate_factor(update, num_updates, warmup_updates, decay)  # noqa: E731
    run = Run(model, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor), seed, next_slot(seed))
    run.resume()
    model.train()
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        team(batches_per_update if device.type == "cpu" and run.update < num_updates else 1) as workers,
    ):
        own = {
            number: _skipped(batches(number), run.update) for number in range(workers.worker, batches_per_update, workers.size)
        }
        updates = range(run.update + 1, num_updates + 1)
        if workers.worker == 0:
            run.open_curves()
            updates = progress(updates, "updates", done_before=run.update)
        for update in updates:
            run.update = update
            run.sums += _compute_gradients(trained, loss, own, workers, [seed, update])
            torch.nn.utils.clip_grad_norm_(trained, clip_norm)
            optimizer.step()
            run.schedule.step()
            if workers.worker == 0 and (update % evaluate_every == 0 or update == num_updates):
                run.evaluate_and_keep_best(evaluate)
            if workers.worker == 0 and (run.place.is_due() or update == num_updates):
                run.place.save(run.state())
        run.close()
        run.best, run.curve = workers.broadcast((run.best, run.curve))
    model.load_state_dict(run.best[1], strict=False)
    model.eval()
    return run.curve


def _skipped(iterator, count):
    """`iterator` behind its next `count` items."""
    if count and hasattr(iterator, "skip"):
        iterator.skip(count)
    elif count:
        next(islice(iterator, count - 1, None))
    return iterator


def _compute_gradients(trained, loss, own, workers, seed):
    """Gradients of the mean loss over one batch of every iterator of the team; sums of its losses and targets `[2]`.

    own: number → iterator, those of this process; what the loss of a batch draws follows from seed and number.
    """
    sums = torch.zeros(2, device=trained[0].device)
    for parameter in trained:
        parameter.grad = None
    for number, iterator in own.items():
        torch.manual_seed(int(np.random.SeedSequence([*seed, number]).generate_state(1)[0]))
        with mixed_precision(trained[0].device):
            batch_loss, num_targets = loss(next(iterator))
        batch_loss.backward()
        sums += torch.stack([batch_loss.detach().to(sums), sums.new_tensor(num_targets)])
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    gradients = [parameter.grad for parameter in trained]
    workers.all_reduce([*gradients, sums])
    sums = sums.cpu()
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


def run_evaluation(model, evaluate):
    """What `evaluate()` returns with the model in evaluation mode, without gradients and as precise as in training."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    with torch.no_grad(), mixed_precision(device):
        measures = evaluate()
    model.train(was_training)
    return measures


def _finite(value, update):
    if not math.isfinite(value):
        raise data_error(
            f"training, update {update}",
            "the loss must be finite",
            expected="a number",
            got=f"{value}",
            remedy="lower learning_rate in the preset of this training, see config/presets",
        )
    return value
