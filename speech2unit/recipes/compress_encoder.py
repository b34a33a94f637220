"""An encoder that is made of another one: the parent read, cut step by step and trained on behind each, and written."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from speech2unit import encoders
from speech2unit.encoders.models.compressed_layers import layer_sizes
from speech2unit.encoders.models.log_mel import load_front_end
from speech2unit.recipes.fit_log_mel import training_rows
from speech2unit.recipes.masked_frames import read_targets
from speech2unit.recipes.objectives import Objective, masked_prediction, parent_states
from storage import tables
from storage.errors import data_error
from storage.files import read_json
from storage.provenance import KEY
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device
from training.fit import fit, run_evaluation


@dataclass
class Student:
    """A model that is cut and trained on, and the rest of what its files hold."""

    model: nn.Module
    settings: dict  # the parent's config.json
    constants: dict  # tensors that belong to the front end: `mean` and `std` of a MelHuBERT
    objective: Objective


def load_parent(model, config):
    """Model that can be trained, config.json, and front end (None where the model holds it) of an encoder's two files."""
    settings = {name: value for name, value in read_json(config).items() if name != KEY}
    module = importlib.import_module(f"{encoders.__name__}.architectures.{settings['architecture']}")
    end = load_front_end(model, config) if settings["architecture"] == "melhubert" else None
    return module.read_model(Path(model).parent).to(choose_device()), settings, end


def load_student(parent_model, parent_config, manifests, roots, targets, num_targets, *, dropout, data, seed):
    """The `Student` that begins as its parent. Raises `ValueError` where the pseudo-labels are not those of the parent's heads."""
    model, settings, end = load_parent(parent_model, parent_config)
    rows = list(training_rows(manifests, roots))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    if end is None:
        sizes = {name: data[name] for name in ("max_crop_frames", "batch_frames", "dev_fraction")}
        return Student(model, settings, {}, parent_states(model, rows, **sizes, seed=seed))
    if list(settings["num_targets"]) != num_targets:
        raise data_error(
            parent_config,
            "the parent goes on predicting its pseudo-labels",
            expected=f"targets with {settings['num_targets']} clusters",
            got=f"{num_targets}",
            remedy="name the parent's targets in config/encoders.tsv",
        )
    labels = read_targets(targets, {row["utterance_id"]: end.num_frames(row["num_samples"]) for _, row in rows})
    found = masked_prediction(model, end, rows, labels, **data, seed=seed)
    return Student(model, settings, dict(mean=end.mean, std=end.std), found)


def shrink_and_train(
    student, shrink, *, num_updates_before, num_updates, optimization, seed, ready=lambda curve: True, max_rounds=1
):
    """Cut a step, train on for so many updates, and again, `num_updates` long; return the curve.

    cut: step from 0 → changes `student.model`. Behind each step training is repeated, `max_rounds` times at most, until
    `ready` says of the curve so far that the next may follow. Each time the optimiser and its schedule begin anew. The curve
    also has the dev loss at update 0, and behind each cut as `loss_after_shrinking`.
    """
    curve, done = [], 0

    def note(measure):
        loss = run_evaluation(student.model, student.objective.evaluate)["loss"]
        curve.append(dict(seed=seed, update=done, split="dev", measure=measure, value=loss, seconds=_last(curve)))
        print(f"update {done} dev {measure} {curve[-1]['value']:.4f}", flush=True)

    def train(number):
        found = (
            fit(
                student.model,
                loss=student.objective.loss,
                batches=student.objective.batches,
                evaluate=student.objective.evaluate,
                num_updates=number,
                rate_factors={},
                seed=seed,
                **optimization,
            )
            if number
            else []
        )
        start = _last(curve)
        curve.extend(row | dict(update=row["update"] + done, seconds=row["seconds"] + start) for row in found)
        return done + number

    note("loss")
    done = train(num_updates_before)
    for step, number in enumerate(num_updates):
        shrink(step)
        if number or step == len(num_updates) - 1:  # the curve has one row of a measure an update
            note("loss_after_shrinking")
        for _ in range(max_rounds):
            done = train(number)
            if ready(curve):
                break
    return curve


def save_student(student, curve, *, model, config, training, sparse=()):
    """The files of the encoder that the student has become; `sparse` names tensors that are stored without their zeros."""
    student.model.eval()
    save_tensors(model, student.model.state_dict() | student.constants, sparse)
    save_config(config, student.settings | dict(layers=layer_sizes(student.model)))
    tables.write(training, curve, TRAINING)


def _last(curve):
    return curve[-1]["seconds"] if curve else 0.0
