"""Compress an encoder: load the parent, shrink it step by step, train it after each step, save it.

The stages `prune_heads`, `prune_rows`, `prune_weights` and `factorize_layers` share these arguments:

    parent_model, parent_config: the two files of the parent, tensors and settings.
    manifests, roots: manifest and folder of each corpus, whose training splits are used.
    targets: tables of units, a MelHuBERT's pseudo-labels, see `read_targets`; empty for other encoders.
    num_targets: number of pseudo-labels of each codebook.
    model, config, training: files to write: tensors, settings and the training curve.
    num_updates_before: number of updates before the first step.
    num_updates: number of updates after each step.
    dropout: dropout rate during training.
    data: settings of the objective, see `objectives`.
    optimization: settings of `training.fit.fit`.
    seed: seed of the training.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from speech2unit import encoders
from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.encoders.models.log_mel import load_front_end
from speech2unit.recipes.masked_frames import read_targets
from speech2unit.recipes.objectives import Objective, masked_prediction, parent_states
from speech2unit.recipes.speech_batches import training_rows
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.provenance import KEY
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device
from training.fit import run_evaluation


@dataclass
class Student:
    """An encoder that is being compressed."""

    model: nn.Module
    settings: dict  # the parent's config.json
    front_end_tensors: dict  # tensors that the model itself does not have: `mean` and `std` of a MelHuBERT
    objective: Objective


def load_parent(model, config):
    """Load an encoder for training.

    Args:
        model, config: the two files of the encoder.

    Returns:
        The model, its settings, and its front end, which is None if the model contains it.
    """
    settings = {name: value for name, value in read_json(config).items() if name != KEY}
    architecture = importlib.import_module(f"{encoders.__name__}.architectures.{settings['architecture']}")
    front_end = load_front_end(model, config) if settings["architecture"] == "melhubert" else None
    return architecture.read_model(Path(model).parent).to(choose_device()), settings, front_end


def load_student(parent_model, parent_config, manifests, roots, targets, num_targets, *, dropout, data, seed):
    """Return a `Student` that is still equal to its parent. The arguments are explained at the top of this file.

    Raises:
        ValueError: if a MelHuBERT's targets are not the ones that it was trained on.
    """
    model, settings, front_end = load_parent(parent_model, parent_config)
    rows = list(training_rows(manifests, roots))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    if front_end is None:
        batch_settings = {name: data[name] for name in ("max_crop_frames", "batch_frames", "dev_fraction")}
        return Student(model, settings, {}, parent_states(model, rows, **batch_settings, seed=seed))
    if list(settings["num_targets"]) != num_targets:
        raise data_error(
            parent_config,
            "a compressed MelHuBERT is trained on the targets of its parent",
            expected=f"targets with {settings['num_targets']} clusters",
            got=f"{num_targets}",
            remedy="name the parent's targets in config/encoders.tsv",
        )
    labels = read_targets(targets, {row["utterance_id"]: front_end.num_frames(row["num_samples"]) for _, row in rows})
    objective = masked_prediction(model, front_end, rows, labels, **data, seed=seed)
    return Student(model, settings, dict(mean=front_end.mean, std=front_end.std), objective)


def shrink_and_train(
    student,
    shrink,
    *,
    num_updates_before,
    num_updates,
    optimization,
    seed,
    is_ready=lambda curve: True,
    max_rounds=1,
):
    """Shrink a student step by step and train it after each step.

    Each training has a new optimizer and a new learning rate schedule.

    Args:
        student: a `Student`.
        shrink: function of the step (0, 1, …) that makes `student.model` smaller.
        num_updates_before: number of updates before the first step.
        num_updates: list of the number of updates after each step.
        optimization: settings of `training.fit.fit`.
        seed: seed of each training.
        is_ready: function of the curve so far. Training after a step is repeated until it returns True.
        max_rounds: largest number of trainings after a step.

    Returns:
        Rows of `storage.schemas.TRAINING`, with updates counted over all trainings. Besides the losses of each training there
        is the dev loss before the first update, and `loss_after_shrinking`, the dev loss right after a step.
    """
    session = _Session(student, optimization, seed)
    session.note_dev_loss("loss")
    session.train(num_updates_before)
    for step, num_updates_of_step in enumerate(num_updates):
        shrink(step)
        # Steps without updates between them would share a row of the curve: only the last of them gets it.
        if num_updates_of_step or step == len(num_updates) - 1:
            session.note_dev_loss("loss_after_shrinking")
        for _ in range(max_rounds):
            session.train(num_updates_of_step)
            if is_ready(session.curve):
                break
    return session.curve


def save_student(student, curve, *, model, config, training, sparse_tensors=()):
    """Write the files of a compressed encoder and its training curve.

    Args:
        student: a `Student`.
        curve: what `shrink_and_train` returns.
        model, config, training: files to write.
        sparse_tensors: names of the tensors that are stored without their zeros.
    """
    student.model.eval()
    save_tensors(model, student.model.state_dict() | student.front_end_tensors, sparse_tensors)
    save_config(config, student.settings | dict(layers=layer_sizes(student.model)))
    tables.write(training, curve, TRAINING)


class _Session:
    """Several trainings of a student, one after another, with one curve."""

    def __init__(self, student, optimization, seed):
        self.student = student
        self.optimization = optimization
        self.seed = seed
        self.num_updates = 0
        self.curve = []

    def train(self, num_updates):
        """Train for a number of updates, which may be 0, and add to the curve."""
        if num_updates:
            seconds_before = self._seconds()
            rows = self.student.objective.train(
                self.student.model, num_updates=num_updates, optimization=self.optimization, seed=self.seed
            )
            for row in rows:
                seconds = row["seconds"] + seconds_before
                self.curve.append(row | dict(update=row["update"] + self.num_updates, seconds=seconds))
        self.num_updates += num_updates

    def note_dev_loss(self, measure):
        """Measure the dev loss and add it to the curve."""
        loss = run_evaluation(self.student.model, self.student.objective.evaluate)["loss"]
        self.curve.append(
            dict(
                seed=self.seed,
                update=self.num_updates,
                split="dev",
                measure=measure,
                value=loss,
                seconds=self._seconds(),
            )
        )
        print(f"update {self.num_updates} dev {measure} {loss:.4f}", flush=True)

    def _seconds(self):
        """Return the time of the trainings so far."""
        return self.curve[-1]["seconds"] if self.curve else 0.0
