"""Compress an encoder: load the parent, shrink it step by step, train it after each step, save it.

The stages `prune_heads`, `prune_rows`, `prune_layers`, `prune_weights` and `factorize_layers` share these arguments:

    parent_model, parent_config: model.safetensors and config.json of the parent.
    manifests, roots: manifest and root folder of each corpus. Their training splits are used.
    targets: tables of `UNITS`, the pseudo-labels of a MelHuBERT, see `read_targets`; empty for other encoders.
    num_targets: size of each codebook that the pseudo-labels come from; empty for other encoders.
    model, config: model.safetensors and config.json to write.
    training: table of `TRAINING` to write, the training curve.
    num_updates_before: number of updates before the first step.
    num_updates: number of updates after each step, a list with one number per step. (In `prune_weights`, one number for all
        trainings; in `prune_layers` and `factorize_layers`, which have a single step, one number.)
    dropout: dropout probability during training, from 0 to 1.
    data: the batches. The first three keys are only used for a MelHuBERT:
        augmentation: fields of `speech2unit.recipes.augment.Augmentation`.
        mask: `probability`, `span` (frames) and `min_spans`, see `speech2unit.recipes.masked_frames.span_mask`.
        unmasked_weight: weight of the loss over frames that are not masked.
        max_crop_frames: longer utterances are cropped to this number of frames.
        batch_frames: number of frames per batch.
        dev_fraction: fraction of the utterances that is held out to measure the dev loss, from 0 to 1.
    optimization: arguments of `training.fit.fit`:
        batches_per_update: number of batches whose gradients are summed.
        learning_rate: peak learning rate.
        warmup_updates: number of updates until the peak, after each step.
        clip_norm: largest L2 norm of the gradient.
        betas: AdamW's two decay rates.
        weight_decay: AdamW's weight decay.
        evaluate_every: number of updates between two measurements of the dev loss.
    seed: seed of all random numbers.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from speech2unit.encoders import import_architecture, load_trainable
from speech2unit.encoders.models.compressed_layers import layer_sizes
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
    settings: dict  # content of the parent's config.json
    front_end_tensors: dict  # tensors that the model itself does not have: `mean` and `std` of a MelHuBERT
    objective: Objective


def load_parent(model, config):
    """Load an encoder for training.

    Args:
        model, config: the two files of the encoder.

    Returns:
        The encoder, a `TrainableEncoder`, and its settings, the content of config.json.
    """
    settings = {name: value for name, value in read_json(config).items() if name != KEY}
    return load_trainable(Path(model).parent, choose_device()), settings


def load_student(parent_model, parent_config, manifests, roots, targets, num_targets, *, dropout, data, seed):
    """Return a `Student` that still equals its parent.

    The arguments are explained at the top of this file.

    Raises:
        ValueError: if a MelHuBERT's targets are not the ones that it was trained on.
    """
    parent, settings = load_parent(parent_model, parent_config)
    rows = list(training_rows(manifests, roots))
    for module in parent.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    make_objective = OBJECTIVES[import_architecture(settings["architecture"]).OBJECTIVE]
    objective = make_objective(parent, rows, config=parent_config, targets=targets, num_targets=num_targets, data=data, seed=seed)
    return Student(parent.model, settings, parent.front_end_tensors, objective)


def continue_masked_prediction(parent, rows, *, config, targets, num_targets, data, seed):
    """Return the `Objective` of a compressed MelHuBERT: predict the pseudo-labels of the parent's pre-training.

    Args:
        parent: a `TrainableEncoder`.
        rows: list of (path of the audio, manifest row) pairs.
        config: path of the parent's config.json, for the error message.
        targets, num_targets, data, seed: as at the top of this file.

    Raises:
        ValueError: if these are not the targets that the parent was trained on.
    """
    expected = list(parent.model.config.num_targets)
    if expected != num_targets:
        raise data_error(
            config,
            "a compressed MelHuBERT is trained on the targets of its parent",
            expected=f"targets with {expected} clusters",
            got=f"{num_targets}",
            remedy="name the parent's targets in config/encoders.tsv",
        )
    num_frames = {row["utterance_id"]: parent.front_end.num_frames(row["num_samples"]) for _, row in rows}
    labels = read_targets(targets, num_frames)
    return masked_prediction(parent.model, parent.front_end, rows, labels, **data, seed=seed)


def match_parent_states(parent, rows, *, config, targets, num_targets, data, seed):
    """Return the `Objective` of a compressed encoder without pseudo-labels: keep the hidden states of the parent.

    The arguments are those of `continue_masked_prediction`; `targets` and `num_targets` are empty.
    """
    batch_settings = {name: data[name] for name in ("max_crop_frames", "batch_frames", "dev_fraction")}
    return parent_states(parent.model, rows, **batch_settings, seed=seed)


# Value of the constant `OBJECTIVE` in an architecture's file → function that returns the `Objective`.
OBJECTIVES = dict(masked_prediction=continue_masked_prediction, parent_states=match_parent_states)


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
        shrink: function that takes the number of the step (0, 1, …) and makes `student.model` smaller.
        num_updates_before: number of updates before the first step.
        num_updates: list of the number of updates after each step.
        optimization: arguments of `training.fit.fit`.
        seed: seed of each training.
        is_ready: function that takes the curve so far. Training after a step is repeated until the function returns True.
        max_rounds: largest number of trainings after a step.

    Returns:
        Rows of `storage.schemas.TRAINING`. Updates are counted over all trainings. In addition to the losses of each training,
        the rows have the dev loss before the first update and, as the measure `loss_after_shrinking`, the dev loss right after
        each step.
    """
    session = _Session(student, optimization, seed)
    session.note_dev_loss("loss")
    session.train(num_updates_before)
    for step, num_updates_of_step in enumerate(num_updates):
        shrink(step)
        # The curve has at most one such row per update. If no training comes between several steps, only the last one gets a row.
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
        curve: the result of `shrink_and_train`.
        model, config: model.safetensors and config.json to write.
        training: table of `TRAINING` to write.
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
        """Return the seconds of training so far."""
        return self.curve[-1]["seconds"] if self.curve else 0.0
