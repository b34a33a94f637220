"""Distillation: a smaller MelHuBERT, from a random start, learns what its teacher expects the pseudo-labels to be.

**Source:** arXiv 2211.09949, section 3.4; the loss is that of arXiv 1503.02531.
"""

from dataclasses import replace

import torch

from speech2unit.encoders.models.melhubert import MelHuBERTModel
from speech2unit.recipes.compress_encoder import load_parent
from speech2unit.recipes.fit_log_mel import training_rows
from speech2unit.recipes.objectives import teacher_posteriors
from storage import tables
from storage.schemas import TRAINING
from storage.weights import save_config, save_tensors
from training.device import choose_device
from training.fit import fit


def distil_posteriors(
    *,
    parent_model,
    parent_config,
    manifests,
    model,
    config,
    training,
    roots,
    sizes,
    temperature,
    masked,
    num_updates,
    dropout,
    data,
    optimization,
    seed,
):
    """Stage: the parent is the teacher; the student has its sizes but for `sizes`. `masked`: see `teacher_posteriors`."""
    torch.manual_seed(seed)
    teacher, settings, end = load_parent(parent_model, parent_config)
    student = MelHuBERTModel(replace(teacher.config, **sizes), dropout).to(choose_device())
    about = {name: value for name, value in data.items() if name != "unmasked_weight"}
    goal = teacher_posteriors(
        student, teacher, end, list(training_rows(manifests, roots)), temperature=temperature, masked=masked, **about, seed=seed
    )
    curve = fit(
        student,
        loss=goal.loss,
        batches=goal.batches,
        evaluate=goal.evaluate,
        num_updates=num_updates,
        rate_factors={},
        seed=seed,
        **optimization,
    )
    save_tensors(model, student.state_dict() | dict(mean=end.mean, std=end.std))
    save_config(config, {name: value for name, value in settings.items() if name != "layers"} | sizes)
    tables.write(training, curve, TRAINING)
