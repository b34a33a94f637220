"""One training loop for everything that is trained: encoders, unit LMs, prompts. They differ only in model and loss.

Interrupted runs resume bit-exactly: all random numbers depend on (seed, update, batch), and everything else that changes is in
`Run.state()`.
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
    "cosine": lambda fraction: 0.5 * (1 + math.cos(math.pi * fraction)),
    "linear": lambda fraction: 1 - fraction,
    "constant": lambda fraction: 1.0,
}
TENSORBOARD_FLUSH_SECONDS = 30


def learning_rate_factor(update, num_updates, warmup_updates, decay="cosine"):
    """Return the factor of the peak learning rate at an update: a linear warm-up, then a decay.

    Args:
        update: number of the update, from 0.
        num_updates: number of updates of the whole training.
        warmup_updates: number of updates during which the factor rises linearly to 1.
        decay: name of one of `DECAYS`.
    """
    if update < warmup_updates:
        return (update + 1) / warmup_updates
    return DECAYS[decay]((update - warmup_updates) / max(num_updates - warmup_updates, 1))


class SeededBatches:
    """Endless batches, each made with random numbers of its own, so that batches can be skipped without making them.

    Args:
        choices: endless iterator over what a batch is made from, such as the positions of its rows.
        make: function that makes a batch from such a choice and a `numpy.random.Generator`.
        seed: list of integers; the random numbers of a batch depend on it and on the batch's position.
    """

    def __init__(self, choices, make, seed):
        self.choices = choices
        self.make = make
        self.seed = list(seed)
        self.position = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.position += 1
        return self.make(next(self.choices), np.random.default_rng([*self.seed, self.position]))

    def skip(self, count):
        """Skip the next `count` batches."""
        self.position += count
        next(islice(self.choices, count, count), None)


class Run:
    """One training run: model, optimizer and schedule after some update, the learning curve up to it, the best parameters.

    Attributes:
        update: number of the last update, from 1; 0 before the first one.
        curve: rows of `storage.schemas.TRAINING`.
        best: (dev loss, name → tensor) of the best evaluation so far, or None.
        sums: sums of losses and of targets since the last evaluation, `[2]`.
    """

    def __init__(self, model, optimizer, schedule, seed, slot):
        self.model = model
        self.optimizer = optimizer
        self.schedule = schedule
        self.seed = seed
        self.slot = slot
        self.update = 0
        self.curve = []
        self.best = None
        self.sums = torch.zeros(2)
        self.started_at = time.monotonic()
        self.writer = None

    def state(self):
        """Return everything that changes during training, as tensors and plain values."""
        return dict(
            update=self.update,
            curve=self.curve,
            best=self.best,
            sums=self.sums,
            seconds=time.monotonic() - self.started_at,
            tensors=trained_state(self.model),
            optimizer=self.optimizer.state_dict(),
            schedule=self.schedule.state_dict(),
        )

    def resume(self):
        """Load the checkpoint of an interrupted run, if there is one."""
        state = self.slot.load()
        if state is None:
            return
        self.update = state["update"]
        self.curve = state["curve"]
        self.best = state["best"]
        self.sums = state["sums"]
        self.started_at = time.monotonic() - state["seconds"]
        self.model.load_state_dict(state["tensors"], strict=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        print(f"resuming after update {self.update}", flush=True)

    def open_curves(self):
        """Start writing the learning curve for TensorBoard, beginning with the rows so far."""
        if self.slot.curves is not None:
            from torch.utils.tensorboard import SummaryWriter

            shutil.rmtree(self.slot.curves, ignore_errors=True)
            self.writer = SummaryWriter(str(self.slot.curves), flush_secs=TENSORBOARD_FLUSH_SECONDS)
            self._write_curve(self.curve)

    def add_to_curve(self, split, measures):
        """Add measures (name → number) of a split after the current update to the learning curve, and print them."""
        seconds = round(time.monotonic() - self.started_at, 3)
        row = dict(seed=self.seed, update=self.update, split=split)
        rows = [row | dict(measure=name, value=float(value), seconds=seconds) for name, value in measures.items()]
        self.curve += rows
        self._write_curve(rows)
        numbers = " ".join(f"{name} {value:.4f}" for name, value in measures.items())
        print(f"seed {self.seed}, update {self.update}: {split} {numbers}", flush=True)

    def evaluate_and_keep_best(self, evaluate):
        """Add the mean training loss since the last evaluation and the measures of `evaluate` to the curve; keep the best.

        Raises:
            ValueError: if a loss is not finite.
        """
        self.add_to_curve("train", dict(loss=_finite(float(self.sums[0] / self.sums[1]), self.update)))
        self.sums.zero_()
        measures = run_evaluation(self.model, evaluate)
        self.add_to_curve("dev", measures)
        dev_loss = _finite(float(measures["loss"]), self.update)
        if self.best is None or dev_loss < self.best[0]:
            tensors = {name: tensor.to("cpu", copy=True) for name, tensor in trained_state(self.model).items()}
            self.best = dev_loss, tensors

    def close(self):
        """Finish writing for TensorBoard."""
        if self.writer is not None:
            self.writer.close()

    def _write_curve(self, rows):
        """Write rows of the curve for TensorBoard, if it is open."""
        if self.writer is not None:
            for row in rows:
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
    epsilon=1e-8,
    weight_decay_on_biases=True,
):
    """Train a model with AdamW and keep the parameters with the lowest dev loss.

    Only parameters that require gradients are trained. Matrix products are in bfloat16 on devices that support it.
    PyTorch's random state is the same after the call as before.

    Args:
        model: `torch.nn.Module`. After the call it has the best parameters and is in evaluation mode.
        loss: function that maps a batch to the sum of its losses in nats and its number of targets. It may draw random numbers
            only from PyTorch.
        batches: function that maps a number from 0 to `batches_per_update` - 1 to an endless iterator over batches. If the
            iterator has a method `skip` (see `SeededBatches`), a resumed run does not make the earlier batches again.
        batches_per_update: number of batches whose gradients are summed in an update, one from each iterator. On a CPU each
            iterator runs in a process of its own.
        evaluate: function without arguments that returns measures on the dev split, a dict from name to number. The parameters
            with the lowest `loss` are kept.
        num_updates: number of updates.
        learning_rate: peak learning rate.
        rate_factors: dict from a prefix of parameter names to a factor of their learning rate. These parameters have no weight
            decay.
        warmup_updates: number of updates until the learning rate is at its peak.
        clip_norm: largest L2 norm of the gradient; a longer gradient is scaled down to it.
        betas: decay rates of AdamW's two moving averages.
        weight_decay: weight decay of AdamW.
        evaluate_every: number of updates between two evaluations; there is also one at the end.
        seed: seed of all random numbers in the loss.
        decay: what the learning rate does after the warm-up, see `DECAYS`.
        epsilon: number that AdamW adds to the denominator of its steps.
        weight_decay_on_biases: whether parameters with `bias` in their names have weight decay too.

    Returns:
        The learning curve, rows of `storage.schemas.TRAINING`.

    Raises:
        ValueError: if a training or dev loss is not finite.
    """

    def rate_factor(update):
        return learning_rate_factor(update, num_updates, warmup_updates, decay)

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    device = trained[0].device
    groups = _groups(model, learning_rate, weight_decay, weight_decay_on_biases, rate_factors)
    optimizer = torch.optim.AdamW(groups, betas=betas, eps=epsilon, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factor)
    run = Run(model, optimizer, schedule, seed, next_slot(seed))
    run.resume()
    model.train()
    num_processes = batches_per_update if device.type == "cpu" and run.update < num_updates else 1
    with (
        torch.random.fork_rng([device] if device.type == "cuda" else []),
        team(num_processes) as workers,
    ):
        numbers = range(workers.worker, batches_per_update, workers.size)
        iterators = {number: _skip(batches(number), run.update) for number in numbers}
        updates = range(run.update + 1, num_updates + 1)
        if workers.worker == 0:
            run.open_curves()
            updates = progress(updates, "updates", done_before=run.update)
        for update in updates:
            run.update = update
            run.sums += _compute_gradients(trained, loss, iterators, workers, [seed, update])
            torch.nn.utils.clip_grad_norm_(trained, clip_norm)
            optimizer.step()
            schedule.step()
            if workers.worker == 0 and (update % evaluate_every == 0 or update == num_updates):
                run.evaluate_and_keep_best(evaluate)
            if workers.worker == 0 and (run.slot.is_due() or update == num_updates):
                run.slot.save(run.state())
        run.close()
        run.best, run.curve = workers.broadcast((run.best, run.curve))
    _, best_tensors = run.best
    model.load_state_dict(best_tensors, strict=False)
    model.eval()
    return run.curve


def trained_state(model):
    """Return what training changes in a model, as a dict from name to tensor: parameters that require gradients, and buffers."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor.detach() for name, tensor in model.state_dict().items() if name not in frozen}


def run_evaluation(model, evaluate):
    """Return `evaluate()`, called with the model in evaluation mode, without gradients, in the precision of training."""
    was_training = model.training
    model.eval()
    with torch.no_grad(), mixed_precision(next(model.parameters()).device):
        measures = evaluate()
    model.train(was_training)
    return measures


def _skip(iterator, count):
    """Return an iterator after skipping its next `count` items."""
    if count and hasattr(iterator, "skip"):
        iterator.skip(count)
    elif count:
        next(islice(iterator, count - 1, None))
    return iterator


def _compute_gradients(trained, loss, iterators, workers, seed):
    """Compute the gradients of the mean loss over one batch of every iterator of the team.

    Args:
        trained: parameters.
        loss: see `fit`.
        iterators: dict from the number of each iterator of this process to the iterator over batches.
        workers: the `Team`.
        seed: list of integers. The random numbers in the loss of a batch depend on it and on the number of the iterator.

    Returns:
        The sums of the losses and of the targets over the team, `[2]`, on the CPU.
    """
    sums = torch.zeros(2, device=trained[0].device)
    for parameter in trained:
        parameter.grad = None
    for number, iterator in iterators.items():
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


def _groups(model, learning_rate, weight_decay, weight_decay_on_biases, rate_factors):
    """Return the optimizer's parameter groups: one for each factor, one for all other parameters, and one without decay."""
    groups = {prefix: dict(params=[], lr=learning_rate * factor, weight_decay=0.0) for prefix, factor in rate_factors.items()}
    groups[""] = dict(params=[], lr=learning_rate, weight_decay=weight_decay)
    biases = dict(params=[], lr=learning_rate, weight_decay=0.0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            prefix = next(prefix for prefix in groups if name.startswith(prefix))
            is_without_decay = not prefix and "bias" in name and not weight_decay_on_biases
            group = biases if is_without_decay else groups[prefix]
            group["params"].append(parameter)
    return [group for group in [*groups.values(), biases] if group["params"]]


def _finite(value, update):
    """Return a loss; raise `ValueError` if it is NaN or infinite."""
    if not math.isfinite(value):
        raise data_error(
            f"training, update {update}",
            "the loss must be finite",
            expected="a number",
            got=f"{value}",
            remedy="lower learning_rate in the preset of this training, see config/presets",
        )
    return value
